"""`bnnbench report`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Metrics, Only, StoreOption

if TYPE_CHECKING:
    from bnnbench.evidence.results import Results
    from bnnbench.report.figures.chosen import Chosen


class Format(StrEnum):
    """The formats of a report."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    latex = "latex"


class Rows(StrEnum):
    """The kinds of rows."""

    cells = "cells"
    worst = "worst"
    images = "images"
    times = "times"


FigureFolder = Annotated[
    Path | None,
    typer.Option(
        "--figures", metavar="DIR", file_okay=False, help="Also write figures, as SVG files with their numbers, here."
    ),
]
FigureNames = Annotated[
    list[str] | None,
    typer.Option("--figure", metavar="NAME", help="Write this figure alone; repeatable. Needs --figures."),
]


def report(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    form: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.table,
    rows: Annotated[
        Rows | None,
        typer.Option(
            "--rows", help="Rows of csv and json: cells (default), worst cases over attacks, images, or times of cells."
        ),
    ] = None,
    metrics: Metrics = None,
    figures: FigureFolder = None,
    figure: FigureNames = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to this file.")] = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> int | None:
    """Print the results that the store has for a benchmarks file.

    Nothing is run.

    Exit codes: 0 done; 1 a figure failed; 2 wrong input.
    """
    from bnnbench.cli.printing import print_tables, say
    from bnnbench.errors import ConfigError, clean
    from bnnbench.evidence.results import Results
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.measurements.metric_names import metrics_of
    from bnnbench.report.figures.chosen import chosen_figures
    from bnnbench.report.formats import FORMATS, ROW_FORMATS
    from bnnbench.store.store import Store

    if rows is not None and form.value not in ROW_FORMATS:
        raise ConfigError([f"--rows needs --format {' or '.join(ROW_FORMATS)}"])
    check_output(output, form.value)
    plan = restricted(make_plan(read_config(file, max_cells)), only or ())
    if not store.exists():
        say(clean(f"{store}: there is no such store, so every cell is missing"), sys.stderr)
    if metrics and rows not in (None, Rows.cells):
        raise ConfigError(["--metrics needs --rows cells"])
    if figure and figures is None:
        raise ConfigError(["--figure needs --figures DIR, the folder of the files"])
    chosen = None if figures is None else chosen_figures(figure or ())
    results = Results(plan, Store(store), metrics=metrics_of(metrics or ()))
    if form is Format.table:
        print_tables(results)
    else:
        text = FORMATS[form.value](results) if rows is None else ROW_FORMATS[form.value](results, rows.value)
        write_report(output, text)
    right = not (figures and chosen) or _write_figures(results, figures, chosen)
    for line in results.store.damaged:
        say(f"damaged: {line}", sys.stderr)
    return None if right else 1


def _write_figures(results: Results, folder: Path, chosen: Chosen) -> bool:
    """Write figures, with a line for each file on standard error, and return whether none of them failed."""
    from bnnbench.cli.printing import say
    from bnnbench.errors import clean
    from bnnbench.report.figures.files import write_chosen

    written = write_chosen(results, folder, chosen)
    for one in written:
        say(clean(str(one)), sys.stderr)
    return not any(one.failed for one in written)


def check_output(output: Path | None, form: str) -> None:
    """Raise `ConfigError` if a table for a terminal is to be written to a file."""
    from bnnbench.errors import ConfigError

    if output and form == Format.table:
        raise ConfigError(["--output needs a --format other than table"])


def write_report(output: Path | None, text: str) -> None:
    """Print a report, or write it to a file if one is given.

    Raises `BnnbenchError` with the file's name, which a full disk does not tell.
    """
    from bnnbench.cli.printing import say
    from bnnbench.errors import BnnbenchError

    if output is None:
        say(text.removesuffix("\n"))
        return
    try:
        output.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BnnbenchError(f"{output}: {(error.strerror or str(error)).lower()}") from error
