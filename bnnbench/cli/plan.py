"""`bnnbench plan`."""

from __future__ import annotations

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption


def plan(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Print the fits and cells of a run, and how many the store has.

    The last line estimates the time of the rest from earlier fits and cells. Nothing is run.
    """
    from collections import defaultdict

    from bnnbench.cli.printing import counted
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.running.names import fit_name
    from bnnbench.running.schedule import Schedule
    from bnnbench.running.timing import estimate
    from bnnbench.store.store import FITS, Store

    planned = restricted(make_plan(read_config(file, max_cells)), only or ())
    opened = Store(store)
    schedule = Schedule(planned, opened)
    tasks = defaultdict(list)
    for task in schedule.tasks:
        tasks[task.fit.key].append(task)
    print(f"{counted(len(planned.fits), 'fit')} and {counted(len(planned.cells), 'cell')}")
    for key, groups in planned.tasks.items():
        remaining, cells = tasks[key], sum(map(len, groups))
        done = f"{cells - sum(len(task.cells) for task in remaining)} of {counted(cells, 'cell')} done"
        chains = planned.fits[key].chains
        sampled = chains - sum(task.chain is not None for task in remaining)
        if sampled and any(task.chain is None and not task.cells for task in remaining):
            done = f"{sampled} of {counted(chains, 'chain')} and {done}"
        record = opened.record(FITS, key)
        print(f"  {fit_name(groups[0][0], planned)}: {record['status'] if record else 'to fit'}; {done}")
    print(estimate(schedule, opened))
