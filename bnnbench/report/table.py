"""The table on a terminal: it wraps into panels and never drops a digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bnnbench.report.summary import MARKS, Block, Figure, Line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

GAPS = (2, 1, 0)
"""Columns of space before each column, and one more from rich: as much as fits."""


def render(blocks: Sequence[Block], width: int) -> Iterator[RenderableType]:
    """Each block as rich tables no wider than `width` columns, with the meaning of its marks below."""
    from rich.padding import Padding
    from rich.text import Text

    for block in blocks:
        stacked = _needed(block, range(len(block.columns)), False, max(GAPS)) > width
        for number, places in enumerate(_panels(block, width, stacked)):
            title = block.title if number == 0 else f"{block.dataset} / {block.network}, continued"
            yield Text(title, style="bold")
            if number == 0:
                yield Text(block.attacker, style="dim")
            gap = next((gap for gap in GAPS if _needed(block, places, stacked, gap) <= width), min(GAPS))
            yield _table(block, places, stacked, " " * gap)
        for mark in block.marks:
            yield Padding(Text(f"{mark}  {MARKS[mark]}", style="dim"), (0, 0, 0, 1))
        for note in block.notes:
            yield Padding(Text(note, style="dim"), (0, 0, 0, 1))
        yield Text("")


def _panels(block: Block, width: int, stacked: bool) -> list[list[int]]:
    """The places of the columns in as few panels as fit; each panel repeats the posterior and the threat."""
    panels: list[list[int]] = [[]]
    for place in range(len(block.columns)):
        if panels[-1] and _needed(block, [*panels[-1], place], stacked, min(GAPS)) > width:
            panels.append([])
        panels[-1].append(place)
    return panels


def _needed(block: Block, places: Sequence[int], stacked: bool, gap: int) -> int:
    """How wide a table with the columns at these places is."""
    head = max(len("posterior"), *(len(line.posterior) for line in block.lines))
    threat = max(len("eps"), *(len(line.threat) for line in block.lines))
    return head + sum(
        1 + gap + width for width in (threat, *(_column_width(block, place, stacked) for place in places))
    )


def _column_width(block: Block, place: int, stacked: bool) -> int:
    return max(
        len(block.columns[place]),
        *(len(row) for line in block.lines for row in _cell(line.figures[place], stacked).split("\n")),
    )


def _cell(figure: Figure, stacked: bool) -> str:
    parts = [part for part in (figure.number, figure.interval, figure.range) if part]
    return "\n".join(parts) if stacked else "  ".join(parts)


def _table(block: Block, places: Sequence[int], stacked: bool, gap: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # The gap between columns is part of their text: rich takes twice as long to pad each cell itself.
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column("posterior", overflow="fold")
    table.add_column(f"{gap}eps", justify="right", no_wrap=True)
    for place in places:
        last = place == len(block.columns) - 1
        table.add_column(gap + block.columns[place], justify="right", no_wrap=True, style="bold" if last else None)
    previous: Line | None = None
    for line in block.lines:
        if previous is not None and line.posterior != previous.posterior:
            table.add_section()
        repeated = previous is not None and line.posterior == previous.posterior
        texts = [_cell(line.figures[place], stacked) for place in places]
        cells = [Text(gap + text.replace("\n", f"\n{gap}"), justify="right") for text in texts]
        table.add_row(Text("" if repeated else line.posterior), Text(gap + line.threat), *cells)
        previous = line
    return table
