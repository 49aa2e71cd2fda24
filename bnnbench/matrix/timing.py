"""How long a run may take, from what the store has timed before."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from bnnbench.matrix.plan import Plan
from bnnbench.matrix.results import FINAL
from bnnbench.matrix.store import CELLS, FITS, Store


def estimate(plan: Plan, store: Store) -> str:
    """One line: the work that is left, by the mean time of earlier fits and attacks of the same component."""
    timed: dict[str, list[float]] = defaultdict(list)
    for kind, part in ((FITS, "posterior"), (CELLS, "attack")):
        for key in store.keys(kind):
            record = store.record(kind, key)
            if record and record["status"] == "ok":
                timed[_component(record, part)].append(float(record["seconds"]))
    left = [fit.identity["posterior"] for key, fit in plan.fits.items() if not _is_final(store.record(FITS, key))] + [
        cell.identity["attack"] for cell in plan.cells if not _is_final(store.record(CELLS, cell.key))
    ]
    if not left:
        return "nothing is left to do"
    known = [timed[identity["component"]] for identity in left if timed[identity["component"]]]
    seconds = sum(sum(times) / len(times) for times in known)
    unknown = len(left) - len(known)
    outcomes = f"{len(left)} outcomes are left"
    if not known:
        return f"{outcomes}: no earlier timings to estimate from"
    more = f", and {unknown} of a kind not timed yet" if unknown else ""
    return f"{outcomes}: about {seconds:.0f} s of work{more}, beside starting the workers that share it"


def _component(record: dict[str, Any], part: str) -> str:
    """What a record says that it was made with; nothing where it is a stranger's, and says something else."""
    told = record["identity"].get(part)
    return str(told.get("component", "")) if isinstance(told, dict) else ""


def _is_final(record: dict[str, Any] | None) -> bool:
    return record is not None and record["status"] in FINAL
