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
    from bnnbench.matrix.config import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.matrix.store import CELLS, FITS, Store
    from bnnbench.matrix.timing import estimate

    asked = restricted(make_plan(read_config(file, max_cells)), only or ())
    kept = Store(store)
    fits = {key: kept.record(FITS, key) for key in asked.fits}
    print(f"{len(asked.fits)} fits and {len(asked.cells)} cells")
    for key, groups in asked.tasks.items():
        cells = [cell for group in groups for cell in group]
        first, record = cells[0], fits[key]
        have = sum(kept.record(CELLS, cell.key) is not None for cell in cells)
        state = record["status"] if record else "to fit"
        seed = f" seed {first.seed}" if len(asked.config.settings.seeds) > 1 else ""
        fit = f"{first.dataset} / {first.network} / {first.posterior}{seed}"
        print(f"  {fit}: {state}; {have} of {len(cells)} cells in the store")
    print(estimate(asked, kept))
