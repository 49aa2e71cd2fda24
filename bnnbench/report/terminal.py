"""Tables for terminals. A table that is too wide is split into panels, so that no digit is dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bnnbench.report.marks import MARKS
from bnnbench.report.measure_tables import Grid
from bnnbench.report.tables import Block, Figure, Line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

GAPS = (2, 1, 0)
"""The numbers of spaces before each column (rich adds one more); the largest that fits is used."""


def render(blocks: Sequence[Block], width: int) -> Iterator[RenderableType]:
    """The parts of each block for rich: its tables, at most `width` columns wide, and its marks and notes."""
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


def render_grids(grids: Sequence[Grid], width: int) -> Iterator[RenderableType]:
    """The parts of each table of a measure for rich: panels at most `width` columns wide, and its marks and notes."""
    from rich.padding import Padding
    from rich.text import Text

    for grid in grids:
        for number, places in enumerate(_grid_panels(grid, width)):
            yield Text(grid.title if number == 0 else f"{grid.title}, continued", style="bold")
            yield _grid_table(grid, places)
        for note in [*(f"{mark}  {MARKS[mark]}" for mark in grid.marks), *grid.notes]:
            yield Padding(Text(note, style="dim"), (0, 0, 0, 1))
        yield Text("")


def _grid_panels(grid: Grid, width: int) -> list[list[int]]:
    """The positions of the columns of each panel; each panel begins with the columns that name the line."""
    heads = list(range(grid.heads))
    panels = [list(heads)]
    for place in range(grid.heads, len(grid.columns)):
        if len(panels[-1]) > grid.heads and sum(_grid_width(grid, one) for one in (*panels[-1], place)) > width:
            panels.append(list(heads))
        panels[-1].append(place)
    return panels


def _grid_width(grid: Grid, place: int) -> int:
    """The width of a column, with the space before it."""
    return 3 + max(map(len, (grid.columns[place], *(line[place] for line in grid.lines))))


def _grid_table(grid: Grid, places: Sequence[int]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for place in places:
        table.add_column(
            f"{'  ' * (place > 0)}{grid.columns[place]}", justify="right" if place else "left", no_wrap=True
        )
    for line in grid.lines:
        table.add_row(*(Text(f"{'  ' * (place > 0)}{line[place]}") for place in places))
    return table


def _panels(block: Block, width: int, stacked: bool) -> list[list[int]]:
    """The positions of the columns of each panel, for as few panels as fit in the width.

    If `stacked`, interval and range are below the number. Each panel repeats the columns of posterior and threat.
    """
    panels: list[list[int]] = [[]]
    for place in range(len(block.columns)):
        if panels[-1] and _needed(block, [*panels[-1], place], stacked, min(GAPS)) > width:
            panels.append([])
        panels[-1].append(place)
    return panels


def _needed(block: Block, places: Sequence[int], stacked: bool, gap: int) -> int:
    """The width of a table with the columns at these positions."""
    head = max(len("posterior"), *(len(line.posterior) for line in block.lines))
    threat = max(len("eps"), *(len(line.threat) for line in block.lines))
    return head + sum(
        1 + gap + width for width in (threat, *(_column_width(block, place, stacked) for place in places))
    )


def _column_width(block: Block, place: int, stacked: bool) -> int:
    """The width of the column at a position."""
    return max(
        len(block.columns[place]),
        *(len(row) for line in block.lines for row in _cell(line.figures[place], stacked).split("\n")),
    )


def _cell(figure: Figure, stacked: bool) -> str:
    """The text of a figure: number, interval and range, on one line or, if `stacked`, below each other."""
    parts = [part for part in (figure.number, figure.interval, figure.range) if part]
    return "\n".join(parts) if stacked else "  ".join(parts)


def _table(block: Block, places: Sequence[int], stacked: bool, gap: str) -> Table:
    """One panel of a block: the columns at these positions, each with a gap before it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # The gap is part of the texts, because padding of each cell by rich doubles the time of rendering.
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
