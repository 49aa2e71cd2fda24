"""`bnnbench report`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption


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


def report(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    form: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.table,
    rows: Annotated[
        Rows | None,
        typer.Option("--rows", help="Rows of csv and json: cells (default), worst cases over attacks, or images."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to this file.")] = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Print the results that the store has for a benchmarks file.

    Nothing is run.
    """
    from bnnbench.cli.printing import print_tables, say
    from bnnbench.errors import ConfigError, clean
    from bnnbench.evidence.results import Results
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.report.formats import FORMATS, ROW_FORMATS
    from bnnbench.store.store import Store

    if rows is not None and form.value not in ROW_FORMATS:
        raise ConfigError([f"--rows needs --format {' or '.join(ROW_FORMATS)}"])
    if output and form is Format.table:
        raise ConfigError(["--output needs a --format other than table"])
    plan = restricted(make_plan(read_config(file, max_cells)), only or ())
    if not store.exists():
        say(clean(f"{store}: there is no such store, so every cell is missing"), sys.stderr)
    results = Results(plan, Store(store))
    if form is Format.table:
        print_tables(results)
    else:
        text = FORMATS[form.value](results) if rows is None else ROW_FORMATS[form.value](results, rows.value)
        if output:
            _write(output, text)
        else:
            say(text.removesuffix("\n"))
    for line in results.store.damaged:
        say(f"damaged: {line}", sys.stderr)


def _write(output: Path, text: str) -> None:
    """Write a report to a file. Raises `BnnbenchError` with the file's name, which a full disk does not tell."""
    from bnnbench.errors import BnnbenchError

    try:
        output.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BnnbenchError(f"{output}: {(error.strerror or str(error)).lower()}") from error
