"""What a run deletes from the store before it begins."""

from __future__ import annotations

from bnnbench.matrix.plan import Plan
from bnnbench.running.tasks import stored_memory
from bnnbench.store.store import CELLS, CHAINS, FITS, Store


def forget(plan: Plan, store: Store, everything: bool) -> None:
    """Before a run, delete failed records of parts, so that only new failures are reported.

    With `everything`, delete all records that the plan asks for. A run that is stopped can then be continued without
    mixing old outcomes with new ones.
    """
    for key, fit in plan.fits.items():
        for part in fit.part_keys:
            record = store.record(CHAINS, part)
            if record and (everything or record["status"] != "ok"):
                store.remove(CHAINS, part)
        if everything:
            store.remove(FITS, key)
    if everything:
        stored_memory.forget(plan.fits.values(), store)
        for cell in plan.cells:
            store.remove(CELLS, cell.key)
