"""Tables in markdown."""

from __future__ import annotations

from bnnbench.evidence.results import Results
from bnnbench.report.marks import MARKS
from bnnbench.report.measure_tables import Grid, grids
from bnnbench.report.tables import Block, blocks


def to_markdown(results: Results) -> str:
    """The markdown of a table for each data set and network, and of one for each of their measures."""
    return "\n".join([*map(_markdown_block, blocks(results)), *map(_markdown_grid, grids(results))])


def _markdown_block(block: Block) -> str:
    head = ["posterior", "eps", *map(_name, block.columns)]
    lines = [f"**{_name(block.title)}**", "", f"{_name(block.attacker)}.", ""]
    lines += [_markdown_row(head), _markdown_row(["---", *["---:"] * (len(head) - 1)])]
    for line in block.lines:
        figures = (figure.in_a_line.replace("~", "\\~") for figure in line.figures)
        lines.append(_markdown_row([_name(line.posterior), line.threat, *figures]))
    lines.append("")
    lines += [f"- `{mark}` {MARKS[mark]}" for mark in block.marks]
    lines += [f"- {_escaped(note, '|<>*_`[]')}" for note in block.notes]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _name(text: str) -> str:
    """A text with names, escaped. Underscores are not escaped: inside a word they have no meaning in markdown."""
    return _escaped(text, "\\|<>&*~`[]")


def _markdown_grid(grid: Grid) -> str:
    lines = [f"**{_name(grid.title)}**", "", _markdown_row([*map(_name, grid.columns)])]
    lines.append(_markdown_row(["---", *["---:"] * (len(grid.columns) - 1)]))
    lines += [_markdown_row([*map(_name, line)]) for line in grid.lines]
    lines += ["", *(f"- `{mark}` {MARKS[mark]}" for mark in grid.marks), *(f"- {_name(note)}" for note in grid.notes)]
    return "\n".join(lines) + "\n"


def _escaped(text: str, special: str) -> str:
    """A text with a backslash before each special character."""
    return "".join("\\" + char if char in special else char for char in text)
