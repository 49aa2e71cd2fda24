"""Markdown: texts of plugins, files and errors stand in it as they are, and are no markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from itertools import chain

import pytest
from outcomes import block_of, cell, outcome

from bnnbench.report.markdown import _escaped, _markdown_block, markdown_grid
from bnnbench.report.measure_tables import Grid

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    r"\<img src=x onerror=alert(1)\>",
    r"\\<img src=x onerror=alert(1)\\>",
    r"\`<b>`<b>",
    r"[text](javascript:alert(1)) \[text](javascript:alert(1))",
    "![image](http://example.org/x.png)",
    "<http://example.org>",
    "&lt;b&gt; &#60;b&#62;",
    "*a* **a** __init__ _a_ ~~a~~ `a`",
    "a | b",
    "a\n\n<b>b\n# c",
]


def live(text: str) -> list[str]:
    """The special characters of a text that no backslash takes the meaning from."""
    return re.findall(r"(?<!\\)(?:\\\\)*([<>&*`\[\]|~]|(?<![a-z])_|_(?![a-z]))", text)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_text_is_live(hostile: str) -> None:
    assert live(_escaped(hostile)) == []
    # What a reader of the rendered text sees is the text.
    markdown_it = pytest.importorskip("markdown_it")
    shown = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(f"- {_escaped(hostile)}")
    text = " ".join(hostile.splitlines())
    assert unescape(re.fullmatch(r"<ul>\n<li>([^<>]*)</li>\n</ul>\n", shown)[1]) == text  # type: ignore[index]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_reason_is_live_in_a_report(hostile: str) -> None:
    failed = replace(cell("a", 0, None, status="failed"), reason=f"ValueError: {hostile}")
    warned = replace(cell("b", 0, outcome("1111110000")), warnings=[f"posterior is short: {hostile}", "the test set"])
    block = _markdown_block(block_of("moons", "fc", [failed, warned]))
    grid = markdown_grid(Grid("moons / fc: m", 1, ["posterior", "x"], [["sgd", "1"]], ["~"], [f"sgd: {hostile}"]))
    notes = [*chain(*([line for line in text.splitlines() if line.startswith("- sgd")] for text in (block, grid)))]
    assert len(notes) == 3
    for note in notes:
        assert live(note) == [], note
        assert note.endswith(_escaped(hostile))


def test_names_stay_readable() -> None:
    assert _escaped("nuts@max_tree_depth=5: R-hat 1.2, ESS 3") == "nuts@max_tree_depth=5: R-hat 1.2, ESS 3"
    assert _escaped("__init__ of_x _y") == r"\_\_init\_\_ of_x \_y"
