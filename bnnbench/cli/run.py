"""`bnnbench run`."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption


def run(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what the store has of this matrix, and compute it anew.")
    ] = False,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Worker processes; fills the cores.")] = None,
    verify: Annotated[
        int, typer.Option(metavar="N", min=0, help="Compute N finished cells, chosen at random, once more and compare.")
    ] = 0,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the cluster of this Dask scheduler.")
    ] = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> int:
    """Run a benchmarks file, and print its tables. What the store already has is not computed again.

    Exit code: 0 all ok or skipped, 1 some failed, or came out otherwise when computed again, 2 bad input, 130
    interrupted, 143 terminated.
    """
    from bnnbench.cli.display import observer
    from bnnbench.cli.printing import print_tables
    from bnnbench.cli.stopping import Stopped, stoppable
    from bnnbench.errors import ClusterLost, clean
    from bnnbench.matrix.run import run as run_matrix

    if dask is not None:
        # What it says of a connection that ends is long, and said below in a line.
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
        print(f"{error}; what was finished is kept in {store}, and any run goes on from there", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(
            f"stopped ({stopped}): what was finished is kept in {store}; the same command "
            f"{'without --fresh ' if fresh else ''}goes on from there",
            file=sys.stderr,
        )
        return stopped.code
    for line in results.store.damaged:
        print(f"damaged: {line}", file=sys.stderr)
    for check in results.checks:
        print(f"computed again: {check.cell.name}: {clean(check.told)}", file=sys.stderr)
    print_tables(results)
    return 0 if results.complete else 1
