"""Tables in markdown."""

from __future__ import annotations

import re

from bnnbench.evidence.marks import MARKS
from bnnbench.evidence.results import Results
from bnnbench.report.legend import BRACKETS, legend
from bnnbench.report.measure_tables import Grid
from bnnbench.report.metric_tables import all_grids
from bnnbench.report.tables import Block, blocks


def to_markdown(results: Results) -> str:
    """The markdown of a table for each data set and network, and of one for each of their metrics and measures."""
    return "\n".join([*map(_markdown_block, blocks(results)), *map(markdown_grid, all_grids(results))])


def _markdown_block(block: Block) -> str:
    head = ["posterior", "eps", *map(_escaped, block.columns)]
    lines = [f"**{_escaped(block.title)}**", "", _escaped(block.attacker), ""]
    lines += [_markdown_row(head), _markdown_row(["---", *["---:"] * (len(head) - 1)])]
    for line in block.lines:
        figures = (figure.in_a_line.replace("~", "\\~") for figure in line.figures)
        lines.append(_markdown_row([_escaped(line.posterior), _escaped(line.threat), *figures]))
    below = _markdown_list(legend(block, BRACKETS), block.notes)
    return "\n".join([*lines, *([""] if below else []), *below]) + "\n"


def markdown_grid(grid: Grid) -> str:
    """The markdown of one table of texts."""
    lines = [f"**{_escaped(grid.title)}**", "", _markdown_row([*map(_escaped, grid.columns)])]
    lines.append(_markdown_row(["---", *["---:"] * (len(grid.columns) - 1)]))
    lines += [_markdown_row([*map(_escaped, line)]) for line in grid.lines]
    below = _markdown_list([(mark, MARKS[mark]) for mark in grid.marks], grid.notes)
    return "\n".join([*lines, *([""] if below else []), *below]) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_list(entries: list[tuple[str, str]], notes: list[str]) -> list[str]:
    """The list below a table: the terms of its legend with their meanings, then its notes."""
    return [
        *(f"- `{term}` {_escaped(meaning)}" for term, meaning in entries),
        *(f"- {_escaped(note)}" for note in notes),
    ]


_SPECIAL = re.compile(r"[\\|<>&*~`\[\]]|(?<![^\W_])_|_(?![^\W_])")
"""The characters with a meaning in markdown. An underscore between letters or digits has none."""


def _escaped(text: str) -> str:
    """A text on one line with a backslash before each special character, so that no part of it is markup."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.splitlines()))
