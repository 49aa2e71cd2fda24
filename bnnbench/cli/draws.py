"""`bnnbench draws pack` and `load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnnbench.cli.commands import Command
from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption
from bnnbench.cli.printing import say

app = typer.Typer(
    help="Give the draws of fits to others, and take theirs.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("pack", cls=Command)
def pack(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the files are written.")] = Path("draws"),
    max_cells: MaxCells = DEFAULT_CELLS,
) -> int:
    """Write the finished fits of a benchmarks file as files, one a fit, with their cards and environments.

    `bnnbench draws load` puts such a file into a store. `bnnbench.load` and the posterior `saved` read it too.

    Exit codes: 0 all fits were written; 1 some are not finished; 2 wrong input.
    """
    from bnnbench.core.named_components import registered_name
    from bnnbench.errors import clean
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.plugins.described import counted
    from bnnbench.running.names import fit_name
    from bnnbench.store.packing import file_name
    from bnnbench.store.packing import pack as packed
    from bnnbench.store.store import FITS, Store

    plan, opened = restricted(make_plan(read_config(file, max_cells)), only or ()), Store(store)
    absent = 0
    for key, fit in plan.fits.items():
        record = opened.record(FITS, key)
        if record is None or record["status"] != "ok":
            say(f"{fit_name(fit, plan)}: {'not in the store' if record is None else record['status']}")
            absent += 1
            continue
        cell = plan.asking[key]
        posterior = cell.posterior if cell.fit.key == key else registered_name(fit.posterior)
        labels = (cell.dataset, cell.network, posterior)
        path = to / file_name(fit, labels, len(plan.config.settings.seeds))
        packed(opened, fit, path)
        say(clean(f"{path}: {fit_name(fit, plan)}, {record['card']['level']} ({record['card']['why']})"))
    say(f"{counted(len(plan.fits) - absent, 'fit')} written to {to}")
    return 1 if absent else 0


@app.command("load", cls=Command)
def load(
    files: Annotated[list[Path], typer.Argument(help="Files that bnnbench draws pack wrote.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Put packed fits into a store, so that a run of the same benchmarks file does not fit them again.

    The draws are taken on trust: they are what the file says. Checksums of data and predictions are compared by the
    run.
    """
    from bnnbench.errors import clean
    from bnnbench.store.packing import unpack
    from bnnbench.store.store import Store

    opened = Store(store)
    with opened.held():
        for file in files:
            key, known = unpack(file, opened)
            say(clean(f"{file}: fit {key[:8]} {'is in the store already' if known else 'loaded'}"))
