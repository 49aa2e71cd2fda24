"""`bnnbench plan`."""

from __future__ import annotations

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption


def plan(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Say what a run would do: the fits and cells asked for, and which of them the store has. Nothing is run."""
    from collections import defaultdict

    from bnnbench.cli.printing import counted
    from bnnbench.matrix.config import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.matrix.schedule import Schedule, fit_name
    from bnnbench.matrix.store import FITS, Store
    from bnnbench.matrix.timing import estimate

    asked = restricted(make_plan(read_config(file, max_cells)), only or ())
    kept = Store(store)
    left = Schedule(asked, kept)
    tasks = defaultdict(list)
    for task in left.tasks:
        tasks[task.fit.key].append(task)
    print(f"{counted(len(asked.fits), 'fit')} and {counted(len(asked.cells), 'cell')}")
    for key, groups in asked.tasks.items():
        own, size = tasks[key], sum(map(len, groups))
        done = f"{size - sum(len(task.cells) for task in own)} of {counted(size, 'cell')} done"
        chains = asked.fits[key].chains
        sampled = chains - sum(task.chain is not None for task in own)
        if sampled and any(task.chain is None and not task.cells for task in own):
            done = f"{sampled} of {counted(chains, 'chain')} and {done}"
        record = kept.record(FITS, key)
        print(f"  {fit_name(groups[0][0], asked)}: {record['status'] if record else 'to fit'}; {done}")
    print(estimate(left, kept))
