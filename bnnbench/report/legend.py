"""The legend below a table of attacks: what its last column, the lines of its cells and its marks mean."""

from __future__ import annotations

from dataclasses import dataclass

from bnnbench.evidence.marks import MARKS
from bnnbench.matrix.settings import LAST_COLUMN
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


def legend(block: Block, layout: Layout) -> list[tuple[str, str]]:
    """The terms of a table's legend with their meanings; a term that the table does not use is left out."""
    figures = [figure for line in block.lines for figure in line.figures]
    entries = []
    if any(not line.figures[-1].text for line in block.lines):
        entries.append((LAST_COLUMN, "images right as they are and under every attack of the row"))
    if any(figure.interval for figure in figures):
        entries.append((layout.interval, f"95% Wilson interval of the accuracy, for {block.images} images"))
    if any(figure.range for figure in figures):
        entries.append((layout.range, "smallest and largest accuracy over the seeds"))
    if any(figure.text == "-" for figure in figures):
        entries.append(("-", "no outcome, or not asked for"))
    return entries + [(mark, MARKS[mark]) for mark in block.marks]
