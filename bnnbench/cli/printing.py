"""Print tables, and texts of others, to terminals, files and pipes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from bnnbench.cli.output import own_output
from bnnbench.errors import clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bnnbench.evidence.results import Results
    from bnnbench.report.measure_tables import Grid


def clean_lines(text: str) -> str:
    """A text of several lines with `?` in place of every unprintable character of a line."""
    return "\n".join(clean(line) for line in text.splitlines())


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a text to the command's own output, or to another stream."""
    print(text, file=own_output() if stream is None else stream, flush=True)


def print_tables(results: Results) -> None:
    """Print the tables of results, as wide as the terminal: 80 columns without one, or `COLUMNS` if it is set."""
    from bnnbench.report.metric_tables import all_grids
    from bnnbench.report.tables import blocks
    from bnnbench.report.terminal import render, render_grids

    width = _width()
    tables = (*render(blocks(results), width), *render_grids(all_grids(results), width))
    _print_parts([*tables, f"store: {results.store.path}"], width)


def print_grids(grids: Sequence[Grid]) -> None:
    """Print tables of texts, as wide as `print_tables` does."""
    from bnnbench.report.terminal import render_grids

    width = _width()
    _print_parts([*render_grids(grids, width)], width)


def _width() -> int:
    return max(40, _columns())


def _print_parts(parts: Sequence[RenderableType], width: int) -> None:
    """Print what rich renders, in so many columns."""
    from rich.console import Console

    console = Console(file=own_output(), width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    # Rich pads lines with spaces.
    say("\n".join(line.rstrip() for line in captured.get().removesuffix("\n").split("\n")))


def _columns() -> int:
    """The columns of the terminal that shows the command's own output: `COLUMNS` if it is set, 80 if there is none."""
    with contextlib.suppress(ValueError):
        if (given := int(os.environ.get("COLUMNS", ""))) > 0:
            return given
    # `shutil.get_terminal_size` asks `sys.__stdout__`, which is not this output.
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(own_output().fileno()).columns or 80
    return 80
