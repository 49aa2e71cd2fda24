"""The page about the audit: its code runs in order, and it has a paragraph for each flag and a row for each canary."""

from __future__ import annotations

import re
from pathlib import Path

from bnnbench.evidence.audit.looking import installed_checks
from bnnbench.testing.canaries import CANARIES

PAGE = Path(__file__).parents[2] / "docs" / "soundness.md"


def test_the_blocks_of_the_page_run() -> None:
    text = PAGE.read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) == 4
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        # Empty lines before the block give errors the line numbers of the page.
        exec(compile("\n" * text.count("\n", 0, block.start(1)) + block[1], str(PAGE), "exec"), names)


def test_every_flag_has_a_paragraph_and_every_canary_a_row() -> None:
    text = PAGE.read_text()
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    checks = installed_checks()
    assert [name for name, one in checks.items() if not _told(one.flag, name, titles)] == []
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert [name for name, make in CANARIES.items() if make(seed=0).checks and name not in rows] == []


def _told(flag: str, name: str, titles: list[str]) -> bool:
    return any(title.startswith(f"### {flag} ") and f"`{name}`" in title for title in titles)
