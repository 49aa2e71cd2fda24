"""Columns of texts, laid out for a terminal of a given width: folded where they must be, and split into panels."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

GAPS = (3, 2, 1)
"""The numbers of spaces between two columns; the largest that fits is used."""
HEAD = 16
"""The widest line of a folded head, unless the cells below it are wider."""
LINES = 3
"""The number of lines above which a folded head is made wider, up to `HEAD`."""
NAME = 12
"""The narrowest width to which the first column is folded."""


@dataclass(frozen=True)
class Column:
    """A column: the lines of its head, and the lines of each of its cells. Texts are on the right, or on the `left`."""

    head: list[str]
    cells: list[list[str]]
    left: bool = False
    bold: bool = False

    @property
    def width(self) -> int:
        """The length of its longest line."""
        return max(len(line) for line in chain(self.head, *self.cells))

    def with_folded_head(self) -> Column:
        """The column with its head folded, between words if possible.

        The head is as narrow as its words or its cells allow, and wider if it would have more than three lines.
        """
        (head,) = self.head
        width = max(min(HEAD, max(map(len, _words(head)))), *(len(line) for line in chain(*self.cells)))
        while width < HEAD and len(folded(head, width)) > LINES:
            width += 1
        return replace(self, head=folded(head, width))

    def narrowed(self, width: int) -> Column:
        """The column with its head and its cells, of one line each, folded to a width."""
        return replace(
            self,
            head=folded(" ".join(self.head), width),
            cells=[folded(text, width) for cell in self.cells for text in cell or [""]],
        )


def folded(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` characters, broken between words if possible, such as after `@` or `,`."""
    lines, line = [], ""
    for word in _words(text):
        if line and len((line + word).rstrip()) > width:
            lines.append(line)
            line = ""
        line += word
        while len(line.rstrip()) > width:
            lines.append(line[:width])
            line = line[width:]
    return [line.rstrip() for line in [*lines, line]]


def _words(text: str) -> list[str]:
    """The parts between which a text may be broken. Together they are the text."""
    return re.findall(r"[^ @,=]*[ @,=]+|[^ @,=]+$", text) or [text]


def needed(columns: Sequence[Column], gap: int) -> int:
    """The width of a table with these columns, and so many spaces between two of them."""
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def panels(names: Sequence[Column], columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns of each panel, for as few panels as fit in the width.

    Each panel begins with the columns that name a row. These are folded if no other column would fit beside them.
    """
    names, gap = _beside(names, max(column.width for column in columns), width), min(GAPS)
    found: list[list[Column]] = [[*names]]
    for column in columns:
        if len(found[-1]) > len(names) and needed([*found[-1], column], gap) > width:
            found.append([*names])
        found[-1].append(column)
    return found


def _beside(names: Sequence[Column], widest: int, width: int) -> list[Column]:
    """The columns that name a row, folded so that a column as wide as `widest` fits beside them, if that is possible.

    Texts of several words are folded first, between words, and then the first column.
    """
    first, *others = names
    room = width - widest - min(GAPS)
    if needed(names, min(GAPS)) > room:
        others = [one.narrowed(max(len(word) for cell in one.cells for word in cell[0].split())) for one in others]
        left = room - sum(one.width + min(GAPS) for one in others)
        first = first.narrowed(max(NAME, left)) if first.width > left else first
    return [first, *others]


def drawn(columns: Sequence[Column], width: int, sections: Collection[int] = ()) -> Table:
    """A table for rich of these columns, with an empty line before each row of `sections`."""
    from rich import box
    from rich.table import Table

    gap = next((gap for gap in GAPS if needed(columns, gap) <= width), min(GAPS))
    # Rich adds one space between columns. The others are part of the texts: padding doubles the time of rendering.
    before = [" " * (gap - 1) * (place > 0) for place in range(len(columns))]
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    height = max(len(column.head) for column in columns)
    for column, space in zip(columns, before, strict=True):
        head = [""] * (height - len(column.head)) + column.head
        table.add_column(_text(column, head, space), no_wrap=True, style="bold" if column.bold else None)
    for row in range(len(columns[0].cells)):
        if row in sections:
            table.add_section()
        table.add_row(*(_text(column, column.cells[row], space) for column, space in zip(columns, before, strict=True)))
    return table


def _text(column: Column, lines: Sequence[str], before: str) -> Text:
    """The lines of a cell, each after some space, on the side where the column has its texts."""
    from rich.text import Text

    return Text("\n".join(before + (line if column.left else f"{line:>{column.width}}") for line in lines))
