"""How long a run may take, from what the store has timed before."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from bnnbench.matrix.schedule import Schedule, Task
from bnnbench.matrix.store import CELLS, FITS, Store


def estimate(left: Schedule, store: Store) -> str:
    """One line: the work that is left, by the mean time of earlier fits and attacks of the same component."""
    shares = [share for task in left.tasks for share in _shares(task)]
    outcomes = sum(len(task.cells) or task.chain is None for task in left.tasks)
    if not outcomes:
        return "nothing is left to do"
    timed = _timed(store)
    known = [(timed[name], share) for name, share in shares if name in timed]
    told = "1 outcome is left" if outcomes == 1 else f"{outcomes} outcomes are left"
    if not known:
        return f"{told}: no earlier timings to estimate from"
    seconds = sum(share * sum(times) / len(times) for times, share in known)
    unknown = sorted({name.rpartition(":")[2] for name, _ in shares if name not in timed})
    more = f", and what {', '.join(unknown)} will take, not timed yet" if unknown else ""
    return f"{told}: about {seconds:.0f} s of work{more}, beside starting the workers that share it"


def _shares(task: Task) -> list[tuple[str, float]]:
    """The component whose time a task takes, and how much of that; chains are taken to be equally long, and to put them
    together takes no time."""
    if task.cells:
        return [(cell.identity["attack"]["component"], 1.0) for cell in task.cells]
    name = task.fit.identity["posterior"]["component"]
    if task.chain is not None:
        return [(name, 1 / task.fit.chains)]
    return [] if task.fit.chains else [(name, 1.0)]


def _timed(store: Store) -> dict[str, list[float]]:
    """The seconds that earlier fits and attacks took, by component."""
    timed: dict[str, list[float]] = defaultdict(list)
    for kind, part in ((FITS, "posterior"), (CELLS, "attack")):
        for key in store.keys(kind):
            record = store.record(kind, key)
            if record and record["status"] == "ok":
                timed[_component(record, part)].append(float(record["seconds"]))
    return timed


def _component(record: dict[str, Any], part: str) -> str:
    """What a record says that it was made with; nothing where it is a stranger's, and says something else."""
    told = record["identity"].get(part)
    return str(told.get("component", "")) if isinstance(told, dict) else ""
