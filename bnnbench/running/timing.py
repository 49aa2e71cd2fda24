"""Estimate the time of a run from the times of earlier fits and cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.named_components import registered_name
from bnnbench.plugins.described import counted
from bnnbench.running.durations import duration
from bnnbench.running.schedule import Schedule
from bnnbench.running.task import Task
from bnnbench.store.store import CELLS, FITS, Store


def estimate(schedule: Schedule, store: Store, *, fits: bool = True) -> str:
    """A line that says how many fits and cells a schedule computes, and how long they will take; cells alone if asked.

    The time is a sum over these fits and cells: the mean time of the earlier ones in `store` with the same component.
    """
    tasks = [task for task in schedule.tasks if fits or task.cells]
    shares = [share for task in tasks for share in _shares(task)]
    unfitted = sum(not task.cells and task.part is None for task in tasks)
    cells = sum(len(task.cells) for task in tasks)
    if not unfitted + cells:
        return "nothing is left to do"
    timed = _timed(store)
    classes = _classes(one for one, _ in shares)
    known = [(timed[classes[type(one)]], share) for one, share in shares if classes[type(one)] in timed]
    parts = [counted(number, noun) for number, noun in ((unfitted, "fit"), (cells, "cell")) if number]
    count = f"{' and '.join(parts)} {'is' if unfitted + cells == 1 else 'are'} left"
    if not known:
        return f"{count}: no earlier timings to estimate from"
    seconds = sum(share * sum(times) / len(times) for times, share in known)
    unknown = sorted({registered_name(one) for one, _ in shares if classes[type(one)] not in timed})
    more = f"the time of {', '.join(unknown)} (not timed yet) and " if unknown else ""
    return (
        f"{count}: about {duration(max(1.0, seconds))} of work for all workers together, plus {more}their start-up time"
    )


def _shares(task: Task) -> list[tuple[Component, float]]:
    """The components that a task spends time on, each with its share of the component's mean time.

    All parts of a fit have equal shares. Joining them takes no time.
    """
    if task.cells:
        return [(cell.component, 1.0) for cell in task.cells]
    if task.part is not None:
        return [(task.fit.posterior, 1 / task.fit.parts)]
    return [] if task.fit.parts else [(task.fit.posterior, 1.0)]


def _classes(components: Iterable[Component]) -> dict[type[Component], str]:
    """The names of the components' classes in identities; each is asked for once, since there may be many cells."""
    examples = {type(component): component for component in components}
    return {cls: str(component.identity()["component"]) for cls, component in examples.items()}


def _timed(store: Store) -> dict[str, list[float]]:
    """The seconds that each earlier fit or cell took, by the class of its posterior or measured component."""
    timed: dict[str, list[float]] = defaultdict(list)
    for kind in (FITS, CELLS):
        for key in store.keys(kind):
            record = store.record(kind, key)
            if record and record["status"] == "ok":
                part = "posterior" if kind == FITS else str(record["identity"].get("kind"))
                timed[_component(record, part)].append(float(record["seconds"]))
    return timed


def _component(record: dict[str, Any], part: str) -> str:
    """The class of the component that a part of a record's identity states; empty if the record states none."""
    identity = record["identity"].get(part)
    return str(identity.get("component", "")) if isinstance(identity, dict) else ""
