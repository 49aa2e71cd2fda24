"""`bnnbench store info`, `verify` and `gc`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.options import DEFAULT_STORE, StoreOption

if TYPE_CHECKING:
    from bnnbench.matrix.store import Store

app = typer.Typer(help="Look after a store.", no_args_is_help=True, rich_markup_mode=None)


@app.command("info")
def info(store: StoreOption = DEFAULT_STORE) -> None:
    """Say what a store holds: records by kind and status, and their size. Everything is verified, nothing changed."""
    from bnnbench.errors import clean
    from bnnbench.matrix import formats
    from bnnbench.matrix.housekeeping import contents

    found = contents(_existing(store))
    print(f"{store}: format {formats.found(store)}")
    for kind in ("fits", "chains", "cells", "runs", "quarantine"):
        told = [f"{count} {status}" for (of, status), count in sorted(found.statuses.items()) if of == kind]
        print(f"  {kind:<11}{found.records[kind]:>7}  {_size(found.size[kind]):>9}  {', '.join(told)}".rstrip())
    for line in found.damaged:
        print(f"damaged: {line}")
    for line in found.unfinished:
        print(f"being written, or cut short: {line}")
    for line in found.foreign:
        print(f"not of bnnbench, and left alone: {clean(line)}")


@app.command("verify")
def verify(
    store: StoreOption = DEFAULT_STORE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Move nothing; for a store that is read-only.")] = False,
) -> int:
    """Read every record and artefact and compare checksums; what fails is moved to quarantine, and exit is 1.

    The next run computes it again.
    """
    from bnnbench.matrix.housekeeping import contents, quarantine_damaged

    kept = _marked(store)
    if dry_run:
        found = contents(kept)
        damaged = found.damaged
    else:
        with kept.held():
            damaged = quarantine_damaged(kept)
            found = contents(kept)
    for line in damaged:
        print(f"damaged: {line}")
    whole = sum(found.statuses.values())
    print(f"{whole} records verified, {len(damaged)} damaged")
    return 1 if damaged else 0


@app.command("gc")
def gc(
    store: StoreOption = DEFAULT_STORE,
    keep: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A benchmarks file: what no such file asks for goes too; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, and say what would go.")] = False,
) -> None:
    """Remove what killed runs left half written, the quarantine, and the chains of fits that are finished."""
    from bnnbench.matrix.files import discard
    from bnnbench.matrix.housekeeping import garbage, named, size_of

    wanted = _asked_for(keep) if keep else None
    kept = _marked(store)
    with contextlib.nullcontext() if dry_run else kept.held():
        doomed = garbage(kept, wanted)
        size = sum(size_of(place) for place in doomed)
        for place in doomed:
            line = f"{'would remove' if dry_run else 'removed'} {named(kept, place)}"
            if not dry_run:
                discard(place)
            print(line)
    print(f"{len(doomed)} {'to remove' if dry_run else 'removed'}, {_size(size)}")


def _asked_for(paths: list[Path]) -> set[str]:
    from bnnbench.matrix.config import read_config
    from bnnbench.matrix.plan import make_plan

    plans = [make_plan(read_config(path)) for path in paths]
    return {key for plan in plans for key in (*plan.fits, *(cell.key for cell in plan.cells))}


def _existing(path: Path) -> Store:
    from bnnbench.errors import StoreError
    from bnnbench.matrix.store import Store

    if not path.exists():
        raise StoreError(f"{path}: there is no such store")
    return Store(path)


def _marked(path: Path) -> Store:
    """A store that says so itself: nothing is moved or removed on a guess."""
    from bnnbench.errors import StoreError
    from bnnbench.matrix import formats

    kept = _existing(path)
    if formats.found(path) != formats.CURRENT:
        raise StoreError(f"{path} has no {formats.MARKER}, so it may be something else: a run into it would write one")
    return kept


def _size(count: float) -> str:
    from rich.filesize import decimal

    return decimal(int(count))
