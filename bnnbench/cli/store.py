"""`bnnbench store info`, `verify` and `gc`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.commands import Command
from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_STORE, MaxCells, StoreOption
from bnnbench.cli.printing import say

if TYPE_CHECKING:
    from bnnbench.store.store import Store

app = typer.Typer(help="Inspect, verify and clean a store.", no_args_is_help=True, rich_markup_mode=None)


@app.command("info", cls=Command)
def info(store: StoreOption = DEFAULT_STORE) -> None:
    """Count the records of a store by kind and status, and their size.

    Every record is verified. Nothing is changed.
    """
    from bnnbench.errors import StoreError, clean
    from bnnbench.store import store_format
    from bnnbench.store.housekeeping import contents

    opened = _existing(store)
    number = store_format.format_of(store)
    if number is None:
        raise StoreError(_unmarked(store))
    summary = contents(opened)
    say(f"{store}: format {number}")
    for kind in ("fits", "chains", "states", "cells", "runs", "quarantine"):
        statuses = [f"{count} {status}" for (of, status), count in sorted(summary.statuses.items()) if of == kind]
        size = _size(summary.size[kind])
        say(f"  {kind:<11}{summary.records[kind]:>7}  {size:>9}  {', '.join(statuses)}".rstrip())
    for line in summary.damaged:
        say(f"damaged: {line}")
    for line in summary.unfinished:
        say(f"being written, or cut short: {line}")
    for line in summary.foreign:
        say(f"not of bnnbench, and left alone: {clean(line)}")


@app.command("verify", cls=Command)
def verify(
    store: StoreOption = DEFAULT_STORE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Move nothing; for a read-only store.")] = False,
) -> int:
    """Verify the checksums of all records and artefacts.

    Damaged records are moved to quarantine, and the next run computes them again. The exit code is then 1.
    """
    from bnnbench.store.checks import checked
    from bnnbench.store.housekeeping import contents, quarantine_damaged

    opened = _marked(store)
    if dry_run:
        summary = contents(opened)
        damaged = summary.damaged
    else:
        with opened.held():
            damaged = quarantine_damaged(opened)
            summary = contents(opened, checked)
    for line in damaged:
        say(f"damaged: {line}")
    say(f"{sum(summary.statuses.values())} records verified, {len(damaged)} damaged")
    return 1 if damaged else 0


@app.command("gc", cls=Command)
def gc(
    store: StoreOption = DEFAULT_STORE,
    keep: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Keep only what this benchmarks file asks for; if repeated, any of them."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; print what would be removed.")] = False,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Remove leftovers of killed runs, quarantine and finished chains.

    Finished chains are records of single chains whose fit is complete. With `--keep`, all fits and cells that are not
    asked for are removed too.
    """
    from bnnbench.store.files import discard
    from bnnbench.store.housekeeping import garbage, named, size_of

    wanted = _asked_for(keep, max_cells) if keep else None
    opened = _marked(store)
    with contextlib.nullcontext() if dry_run else opened.held():
        removable = garbage(opened, wanted)
        size = sum(size_of(place) for place in removable)
        for place in removable:
            line = f"{'would remove' if dry_run else 'removed'} {named(opened, place)}"
            if not dry_run:
                discard(place)
            say(line)
    say(f"{len(removable)} {'to remove' if dry_run else 'removed'}, {_size(size)}")


def _asked_for(paths: list[Path], max_cells: int) -> set[str]:
    """The keys of all fits and cells that benchmarks files ask for, each at most `max_cells` cells."""
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan

    plans = [make_plan(read_config(path, max_cells)) for path in paths]
    return {key for plan in plans for key in (*plan.fits, *(cell.key for cell in plan.cells))}


def _existing(path: Path) -> Store:
    """The store in a directory. Raises `StoreError` if there is no such directory."""
    from bnnbench.errors import StoreError
    from bnnbench.store.store import Store

    if not path.exists():
        raise StoreError(f"{path}: there is no such store")
    return Store(path)


def _marked(path: Path) -> Store:
    """A store with a marker file. Raises `StoreError` without one: files of another directory must not be removed."""
    from bnnbench.errors import StoreError
    from bnnbench.store import store_format

    opened = _existing(path)
    if store_format.format_of(path) != store_format.CURRENT:
        raise StoreError(_unmarked(path))
    return opened


def _unmarked(path: Path) -> str:
    """The message about a directory that is not marked as a store."""
    from bnnbench.store import store_format

    return f"{path} has no {store_format.MARKER}, so it may be something else: a run into it would write one"


def _size(count: float) -> str:
    """A number of bytes as text, such as `1.2 kB`."""
    from rich.filesize import decimal

    return decimal(int(count))
