"""`bnnbench compare`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption

if TYPE_CHECKING:
    from bnnbench.evidence.results import Results


class Format(StrEnum):
    """The formats of a comparison."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"


def compare(
    file: File = DEFAULT_FILE,
    other: Annotated[
        Path | None, typer.Argument(metavar="B", help="Another benchmarks file, to compare the results of both.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    store_b: Annotated[
        Path | None, typer.Option("--store-b", help="The store of B, or of FILE if there is no B; by default the same.")
    ] = None,
    attacks: Annotated[bool, typer.Option("--attacks", help="Compare attacks, not worst cases over them.")] = False,
    only: Only = None,
    form: Annotated[Format, typer.Option("--format", help="Format of the comparison.")] = Format.table,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the comparison to this file.")] = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Print which differences of robust accuracy hold: interval and p-value of each, on the same images.

    Of one file: all pairs of posteriors under each threat, in the worst case over attacks; with --attacks all pairs of
    attacks on each fit. Of two files, or one file and two stores: what has the same labels in both.

    Nothing is run.
    """
    from bnnbench.cli.printing import print_grids, say
    from bnnbench.cli.report import check_output, write_report
    from bnnbench.report.difference_tables import difference_grids
    from bnnbench.report.markdown import markdown_grid
    from bnnbench.report.rows import rows_to_csv, rows_to_json

    check_output(output, form.value)
    results = _results(file, store, only, max_cells)
    second = None
    if other is not None or store_b is not None:
        second = _results(other or file, store_b or store, only, max_cells)
    found = results.differences(second, attacks=attacks)
    for line in (*results.store.damaged, *(second.store.damaged if second else ())):
        say(f"damaged: {line}", sys.stderr)
    if not found:
        _refuse(results, second, attacks=attacks)
    if form in (Format.json, Format.csv):
        written = rows_to_json if form is Format.json else rows_to_csv
        write_report(output, written([one.row() for one in found]))
        return
    grids = difference_grids(found, [*results.cells, *(second.cells if second else ())])
    if form is Format.table:
        print_grids(grids)
    else:
        write_report(output, "\n".join(map(markdown_grid, grids)))


def _results(file: Path, store: Path, only: list[str] | None, max_cells: int) -> Results:
    """The results of a file in a store. Raises `StoreError` if there is no such store."""
    from bnnbench.errors import StoreError
    from bnnbench.evidence.results import Results
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.store.store import Store

    plan = restricted(make_plan(read_config(file, max_cells)), only or ())
    if not store.is_dir():
        raise StoreError(f"{store}: there is no such store, so there is nothing to compare")
    return Results(plan, Store(store))


def _refuse(results: Results, second: Results | None, *, attacks: bool) -> None:
    """Raise `ConfigError`: there is nothing to compare, and why."""
    from bnnbench.errors import ConfigError

    where = results.where + (f" and {second.where}" if second else "")
    needed = "lines of equal labels" if second else "two attacks on a fit" if attacks else "two posteriors"
    hint = "" if second or attacks else "; --attacks compares attacks"
    raise ConfigError([f"{where}: nothing to compare: {needed} with outcomes under one threat are needed{hint}"])
