"""Tables for terminals. A table that is too wide is split into panels, so that no digit is dropped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from bnnbench.evidence.marks import MARKS
from bnnbench.report.legend import IN_A_LINE, STACKED, legend
from bnnbench.report.measure_tables import Grid
from bnnbench.report.sheets import GAPS, Column, drawn, needed, panels
from bnnbench.report.tables import Block, Line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


def render(blocks: Sequence[Block], width: int) -> Iterator[RenderableType]:
    """The parts of each block for rich: its tables, at most `width` columns wide, and its legend and notes."""
    for block in blocks:
        names = _names_of(block)
        # Intervals stand beside their accuracies if the whole table then fits, and otherwise below them.
        columns = _columns(block, stacked=False)
        stacked = needed([*names, *columns], GAPS[1]) > width
        if stacked:
            columns = _columns(block, stacked=True)
        sections = {place for place, (one, other) in enumerate(pairwise(block.lines), 1) if _differ(one, other)}
        titles = (block.title, f"{block.dataset} / {block.network}, continued")
        yield from _tables(titles, block.attacker, names, columns, width, sections)
        yield from _below(legend(block, STACKED if stacked else IN_A_LINE), block.notes, width)


def render_grids(grids: Sequence[Grid], width: int) -> Iterator[RenderableType]:
    """The parts of each table of a measure for rich: panels at most `width` columns wide, and its marks and notes."""
    for grid in grids:
        # As in the tables of attacks: intervals beside their numbers if the whole table then fits, else below them.
        columns = _columns_of(grid, stacked=False)
        if needed(columns, GAPS[1]) > width:
            columns = _columns_of(grid, stacked=True)
        names, figures = columns[: grid.heads], columns[grid.heads :]
        yield from _tables((grid.title, f"{grid.title}, continued"), "", names, figures, width)
        yield from _below([(mark, MARKS[mark]) for mark in grid.marks], grid.notes, width)


def _columns_of(grid: Grid, *, stacked: bool) -> list[Column]:
    """The columns of a grid, with the interval at the end of a text on a line of its own if `stacked`."""

    def cell(text: str) -> list[str]:
        return text.replace(" [", "\n[").split("\n") if stacked else [text]

    return [
        Column([head], [cell(line[place]) for line in grid.lines], left=place == 0)
        for place, head in enumerate(grid.columns)
    ]


def _tables(
    titles: tuple[str, str],
    subtitle: str,
    names: Sequence[Column],
    columns: Sequence[Column],
    width: int,
    sections: Iterable[int] = (),
) -> Iterator[RenderableType]:
    """The panels of a table, each below its title: the first has another one than the others, and a subtitle."""
    from rich.text import Text

    if needed([*names, *columns], min(GAPS)) > width:
        columns = [column.with_folded_head() for column in columns]
    for number, panel in enumerate(panels(names, columns, width)):
        if number:
            yield Text("")
        yield Text(titles[number > 0], style="bold")
        if subtitle and not number:
            yield Text(subtitle, style="dim")
        yield drawn(panel, width, {*sections})


def _below(entries: Sequence[tuple[str, str]], notes: Iterable[str], width: int) -> Iterator[Text]:
    """The lines below a table: its legend, with the meanings in a column of their own, its notes, and an empty line."""
    from rich.text import Text

    longest = max((len(term) for term, _ in entries), default=0)
    for term, meaning in entries:
        yield _wrapped(f" {term:{longest}}  ", meaning, width)
    for note in notes:
        yield _wrapped(" ", note, width, indent=3)
    yield Text("")


def _wrapped(first: str, text: str, width: int, indent: int = 0) -> Text:
    """A text that begins with `first`, wrapped; its further lines are indented as far, or by `indent`."""
    from rich.text import Text

    further = " " * (indent or len(first))
    return Text(textwrap.fill(text, width, initial_indent=first, subsequent_indent=further), style="dim")


def _names_of(block: Block) -> list[Column]:
    """The columns that name the lines of a block. A posterior is named in the first of its lines."""
    repeated = [False, *(not _differ(one, other) for one, other in pairwise(block.lines))]
    posteriors = ["" if again else line.posterior for line, again in zip(block.lines, repeated, strict=True)]
    return [
        Column(["posterior"], [[name] for name in posteriors], left=True),
        Column(["eps"], [[line.threat] for line in block.lines]),
    ]


def _differ(one: Line, other: Line) -> bool:
    """Whether two lines are about different posteriors."""
    return one.posterior != other.posterior


def _columns(block: Block, stacked: bool) -> list[Column]:
    """The columns of a block. If `stacked`, interval and range are below the number, otherwise beside it."""
    return [_column(block, place, stacked) for place in range(len(block.columns))]


def _column(block: Block, place: int, stacked: bool) -> Column:
    """The column at a position. Numbers are aligned, with their marks after them, and so are intervals beside them."""
    figures = [line.figures[place] for line in block.lines]
    marks = max(len(figure.marks) for figure in figures)
    parts = [[f"{figure.value}{figure.marks:{marks}}", figure.interval, figure.range] for figure in figures]
    if stacked:
        cells = [list(filter(None, texts)) for texts in parts]
    else:
        sizes = [max((len(texts[part]) for texts in parts if texts[1]), default=0) for part in range(3)]
        cells = [
            [" ".join(f"{text:>{size}}" for text, size in zip(texts, sizes, strict=True) if size)]
            if texts[1]
            else texts[:1]
            for texts in parts
        ]
    return Column([block.columns[place]], cells, bold=place >= len(block.columns) - len(block.combined))
