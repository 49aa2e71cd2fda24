"""Print tables, and texts of others, to terminals, files and pipes."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from bnnbench.errors import clean

if TYPE_CHECKING:
    from bnnbench.evidence.results import Results


def clean_lines(text: str) -> str:
    """A text of several lines with `?` in place of every unprintable character of a line."""
    return "\n".join(clean(line) for line in text.splitlines())


def counted(number: int, what: str) -> str:
    """A number with a noun, in the plural unless the number is one: `1 fit`, `2 fits`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def say(text: str, stream: TextIO) -> None:
    """Print a text. If the reader of a pipe has closed it (`| head`), discard this and later output of the stream."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Discard everything that is written to a stream from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_tables(results: Results) -> None:
    """Print the tables of results, as wide as the terminal: 80 columns without one, or `COLUMNS` if it is set."""
    from rich.console import Console

    from bnnbench.report.measure_tables import grids
    from bnnbench.report.tables import blocks
    from bnnbench.report.terminal import render, render_grids

    width = max(40, shutil.get_terminal_size().columns)
    console = Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        for part in (*render(blocks(results), width), *render_grids(grids(results), width)):
            console.print(part)
        console.print(f"95% Wilson intervals; store: {results.store.path}")
    # Rich pads lines with spaces.
    say("\n".join(line.rstrip() for line in captured.get().removesuffix("\n").split("\n")), sys.stdout)
