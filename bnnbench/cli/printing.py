"""Print tables, and strangers' texts, on whatever the output is."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from bnnbench.errors import clean

if TYPE_CHECKING:
    from bnnbench.matrix.results import Results


def clean_lines(text: str) -> str:
    """A stranger's text of several lines, with nothing in any of them that a terminal would obey."""
    return "\n".join(clean(line) for line in text.splitlines())


def print_tables(results: Results) -> None:
    """The tables of a run, as wide as the terminal (80 columns where there is none, or as COLUMNS says)."""
    from rich.console import Console

    from bnnbench.report.summary import blocks
    from bnnbench.report.table import render

    width = max(40, shutil.get_terminal_size().columns)
    console = Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)
    for part in render(blocks(results), width):
        console.print(part)
    console.print(f"95% Wilson intervals; store: {results.store.path}")
