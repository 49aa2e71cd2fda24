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
    from bnnbench.cli.printing import counted
    from bnnbench.matrix.config import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.matrix.schedule import fit_name
    from bnnbench.matrix.store import CELLS, FITS, Store
    from bnnbench.matrix.timing import chains_kept, estimate, is_final

    asked = restricted(make_plan(read_config(file, max_cells)), only or ())
    kept = Store(store)
    fits = {key: kept.record(FITS, key) for key in asked.fits}
    print(f"{counted(len(asked.fits), 'fit')} and {counted(len(asked.cells), 'cell')}")
    for key, groups in asked.tasks.items():
        cells, record = [cell for group in groups for cell in group], fits[key]
        have = sum(kept.record(CELLS, cell.key) is not None for cell in cells)
        there = f"{have} of {counted(len(cells), 'cell')} in the store"
        if (chains := chains_kept(asked.fits[key], kept)) and not is_final(record):
            there = f"{chains} of {counted(asked.fits[key].chains, 'chain')} and {there}"
        print(f"  {fit_name(cells[0], asked)}: {record['status'] if record else 'to fit'}; {there}")
    print(estimate(asked, kept))
