"""Print tables, and strangers' texts, on whatever the output is."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from bnnbench.errors import clean

if TYPE_CHECKING:
    from bnnbench.matrix.results import Results


def clean_lines(text: str) -> str:
    """A stranger's text of several lines, with nothing in any of them that a terminal would obey."""
    return "\n".join(clean(line) for line in text.splitlines())


def counted(number: int, what: str) -> str:
    """A number of things: `1 fit`, `2 fits`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def say(text: str, stream: TextIO) -> None:
    """Print a text; where its reader has gone away (`| head`) nothing is said from now on, and the work goes on."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let what is written to a stream go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_tables(results: Results) -> None:
    """The tables of a run, as wide as the terminal (80 columns where there is none, or as COLUMNS says)."""
    from rich.console import Console

    from bnnbench.report.summary import blocks
    from bnnbench.report.table import render

    width = max(40, shutil.get_terminal_size().columns)
    console = Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        for part in render(blocks(results), width):
            console.print(part)
        console.print(f"95% Wilson intervals; store: {results.store.path}")
    # Rich fills lines up to the width of what they stand in.
    say("\n".join(line.rstrip() for line in captured.get().removesuffix("\n").split("\n")), sys.stdout)
