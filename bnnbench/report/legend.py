"""The legend below a table of attacks: what its last columns, the lines of its cells and its marks mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnnbench.evidence.marks import MARKS
from bnnbench.matrix.settings import CERTIFIED_COLUMN, LAST_COLUMN
from bnnbench.report.tables import Block


@dataclass(frozen=True)
class Layout:
    """The words by which a legend calls the interval and the range over seeds, as a layout writes them."""

    interval: str
    range: str


STACKED = Layout("second line", "third line")
IN_A_LINE = Layout("low-high", "low..high")
BRACKETS = Layout("[low, high]", "(low..high)")
IN_WORDS = Layout("in brackets", "in parentheses")


def _certified(block: Block) -> str:
    """What `certified` means; beside a worst case, what both say of the truth."""
    proven = "images at which no attack in the ball can succeed (proof)"
    if LAST_COLUMN not in block.combined:
        return proven
    return f"{proven}; the truth lies between {CERTIFIED_COLUMN} and {LAST_COLUMN}"


def _worst(block: Block) -> str:
    """What `worst` means, which the goals of the attacks decide."""
    if block.goals:
        return "images at which every attack of the row failed"
    return "images right as they are and under every attack of the row"


_MEANINGS: dict[str, Callable[[Block], str]] = {
    CERTIFIED_COLUMN: _certified,
    LAST_COLUMN: _worst,
}
"""The meanings of the columns that combine several cells."""


def legend(block: Block, layout: Layout) -> list[tuple[str, str]]:
    """The terms of a table's legend with their meanings; a term that the table does not use is left out."""
    figures = [figure for line in block.lines for figure in line.figures]
    entries = []
    for place, column in enumerate(block.combined, -len(block.combined)):
        if any(not line.figures[place].text for line in block.lines):
            entries.append((column, _MEANINGS[column](block)))
    if any(figure.interval for figure in figures):
        entries.append((layout.interval, f"95% Wilson interval of the accuracy, for {block.images} images"))
    if any(figure.range for figure in figures):
        entries.append((layout.range, "smallest and largest accuracy over the seeds"))
    if any(figure.text == "-" for figure in figures):
        entries.append(("-", "no outcome, or not asked for"))
    return entries + [(mark, MARKS[mark]) for mark in block.marks]
