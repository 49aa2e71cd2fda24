"""How long a run may take, from what the store has timed before."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from bnnbench.matrix.plan import FitSpec, Plan
from bnnbench.matrix.results import FINAL
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store


def estimate(plan: Plan, store: Store) -> str:
    """One line: the work that is left, by the mean time of earlier fits and attacks of the same component."""
    timed = _timed(store)
    left = [(fit.identity["posterior"], _share_left(fit, store)) for fit in _not_final(plan, store)]
    left += [(cell.identity["attack"], 1.0) for cell in plan.cells if not is_final(store.record(CELLS, cell.key))]
    if not left:
        return "nothing is left to do"
    known = [(timed[part["component"]], share) for part, share in left if part["component"] in timed]
    seconds = sum(share * sum(times) / len(times) for times, share in known)
    unknown = len(left) - len(known)
    outcomes = "1 outcome is left" if len(left) == 1 else f"{len(left)} outcomes are left"
    if not known:
        return f"{outcomes}: no earlier timings to estimate from"
    more = f", and {unknown} of a kind not timed yet" if unknown else ""
    return f"{outcomes}: about {seconds:.0f} s of work{more}, beside starting the workers that share it"


def chains_kept(fit: FitSpec, store: Store) -> int:
    """How many chains of an unfinished fit are in the store."""
    records = (store.record(CHAINS, fit.chain_key(chain)) for chain in range(fit.chains))
    return sum(record is not None and record["status"] == "ok" for record in records)


def _timed(store: Store) -> dict[str, list[float]]:
    """The seconds that earlier fits and attacks took, by component."""
    timed: dict[str, list[float]] = defaultdict(list)
    for kind, part in ((FITS, "posterior"), (CELLS, "attack")):
        for key in store.keys(kind):
            record = store.record(kind, key)
            if record and record["status"] == "ok":
                timed[_component(record, part)].append(float(record["seconds"]))
    return timed


def _not_final(plan: Plan, store: Store) -> list[FitSpec]:
    return [fit for key, fit in plan.fits.items() if not is_final(store.record(FITS, key))]


def _share_left(fit: FitSpec, store: Store) -> float:
    """How much of a fit is not in the store yet, its chains being equally long."""
    return 1 - chains_kept(fit, store) / fit.chains if fit.chains else 1.0


def _component(record: dict[str, Any], part: str) -> str:
    """What a record says that it was made with; nothing where it is a stranger's, and says something else."""
    told = record["identity"].get(part)
    return str(told.get("component", "")) if isinstance(told, dict) else ""


def is_final(record: dict[str, Any] | None) -> bool:
    """Whether a record is there and says something that another run would not try again."""
    return record is not None and record["status"] in FINAL
