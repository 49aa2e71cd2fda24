"""`bnnbench run`."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, Jobs, MaxCells, Only, StoreOption

if TYPE_CHECKING:
    from bnnbench.evidence.results import Results


def run(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete what the store has of these cells and fits, and compute them again.")
    ] = False,
    jobs: Jobs = None,
    verify: Annotated[
        int, typer.Option(metavar="N", min=0, help="Compute N finished cells again, chosen at random, and compare.")
    ] = 0,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the cluster of the Dask scheduler at this address.")
    ] = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> int:
    """Run a benchmarks file and print its tables.

    Outcomes that the store has are not computed again.

    Exit codes: 0 all cells are ok or skipped; 1 some failed, or gave another result when computed again; 2 wrong input;
    130 interrupted; 143 terminated.
    """
    from bnnbench.cli.printing import print_tables, say
    from bnnbench.cli.stopping import Stopped, stoppable
    from bnnbench.errors import ClusterLost
    from bnnbench.running.display import observer
    from bnnbench.running.run import run as run_matrix

    if dask is not None:
        # Its messages about a lost connection are long; the handler below prints one line.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        with stoppable():
            results = run_matrix(
                file,
                store=store,
                jobs=jobs,
                only=only or (),
                fresh=fresh,
                verify=verify,
                max_cells=max_cells,
                dask=dask,
                observer=observer(),
            )
    except ClusterLost as error:
        say(f"{error}; what was finished is kept in {store}, and any run continues from there", sys.stderr)
        return 1
    except Stopped as stopped:
        say(
            f"stopped ({stopped}): what was finished is kept in {store}; the same command "
            f"{'without --fresh ' if fresh else ''}continues from there",
            sys.stderr,
        )
        return stopped.code
    _print_problems(results)
    print_tables(results)
    return 0 if results.complete else 1


def _print_problems(results: Results) -> None:
    """Print damaged records, and the comparisons of cells that were computed again, to standard error."""
    from bnnbench.cli.printing import say
    from bnnbench.errors import clean

    for line in results.store.damaged:
        say(f"damaged: {line}", sys.stderr)
    for check in results.checks:
        say(f"computed again: {check.cell.name}: {clean(check.message)}", sys.stderr)
