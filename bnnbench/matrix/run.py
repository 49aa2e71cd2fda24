"""Run a plan: what the store lacks, in worker processes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from bnnbench.matrix.config import MAX_CELLS, read_config
from bnnbench.matrix.dispatch import Ended, dispatched
from bnnbench.matrix.environment import environment
from bnnbench.matrix.executors import LocalPool, usable_cores
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.matrix.progress import Listener, Step
from bnnbench.matrix.results import Results
from bnnbench.matrix.schedule import Schedule, Task
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store
from bnnbench.matrix.work import Setting


class Observer(Protocol):
    """Is told what happens during a run, from the run's own thread."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None: ...
    def done(self, task: Task, status: str, seconds: float, reason: str) -> None: ...
    def step(self, step: Step) -> None: ...
    def end(self, seconds: float) -> None: ...


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        """Nothing."""

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        """Nothing."""

    def step(self, step: Step) -> None:
        """Nothing."""

    def end(self, seconds: float) -> None:
        """Nothing."""


def run(
    path: str | Path,
    *,
    store: str | Path = "store",
    jobs: int | None = None,
    only: Iterable[str] = (),
    fresh: bool = False,
    max_cells: int = MAX_CELLS,
    observer: Observer | None = None,
) -> Results:
    """Run a benchmarks file and return its results; what the store already has is not computed again.

    `jobs` worker processes, by default as many as fill the usable cores at the file's `threads` each. `only` keeps the
    cells that have one of these labels; `fresh` computes everything anew. Raises `ConfigError` for a bad file and
    `StoreError` for a store that cannot be written to; a task that fails does not raise, its cells say so.
    """
    plan = restricted(make_plan(read_config(path, max_cells)), only)
    return run_plan(plan, Store(store), jobs=jobs, fresh=fresh, observer=observer or Silent())


def restricted(plan: Plan, only: Iterable[str]) -> Plan:
    """The plan's cells that have, for each of the words, a label equal to it. Raises `ConfigError` if none is left."""
    from bnnbench.errors import ConfigError

    words = list(only)
    cells = [
        cell
        for cell in plan.cells
        if all(
            any(
                word in (name, name.partition("@")[0])
                for name in (cell.dataset, cell.network, cell.posterior, cell.attack)
            )
            for word in words
        )
    ]
    if not cells:
        raise ConfigError([f"--only {' --only '.join(words)}: no cell has these labels"])
    return Plan(plan.config, cells)


def run_plan(plan: Plan, store: Store, *, jobs: int | None, fresh: bool, observer: Observer) -> Results:
    """Run what a plan asks for and the store lacks."""
    with store.held():
        return _run_held(plan, store, jobs, fresh, observer)


def _run_held(plan: Plan, store: Store, jobs: int | None, fresh: bool, observer: Observer) -> Results:
    started = time.perf_counter()
    left = Schedule(plan, store, fresh)
    observer.begin(plan, left.size, left.cached)
    listener = Listener()
    try:
        if left.size:
            _run_left(left, plan, store, jobs, observer, listener)
    finally:
        listener.close()
        observer.end(time.perf_counter() - started)
    results = Results(plan, store, left.verified)
    store.write_manifest(_manifest(plan, results))
    return results


def _run_left(
    left: Schedule, plan: Plan, store: Store, jobs: int | None, observer: Observer, listener: Listener
) -> None:
    settings = plan.config.settings
    workers = min(jobs or max(1, usable_cores() // settings.threads), left.size)
    setting = Setting(str(store.path.absolute()), settings.device, settings.threads, listener.address)
    with LocalPool(workers, threads=settings.threads, memory=settings.limits.memory) as pool:
        for task, ended in dispatched(left, pool, setting, settings.limits, lambda: _show(listener, observer)):
            observer.done(task, *_collect(task, ended, store, setting))


def _show(listener: Listener, observer: Observer) -> None:
    for step in listener.steps():
        observer.step(step)


def _collect(task: Task, ended: Ended, store: Store, setting: Setting) -> tuple[str, float, str]:
    """The status of a finished task, its seconds, and what went wrong; what its worker could not record is recorded
    here."""
    if ended.lost:
        return ended.status, 0.0, ""
    if ended.recorded:
        kept = [(CHAINS, task.key)] if ended.status == "ok" and task.chain is not None else task.kept
        records = [record for kind, key in kept if (record := store.record(kind, key))]
        reasons = {str(record["reason"]): None for record in records}
        return ended.status, sum(float(record["seconds"]) for record in records), "; ".join(filter(None, reasons))
    record = {"status": ended.status, "reason": ended.reason, "warnings": [], "seed": task.fit.seed}
    record["environment"] = environment(setting.threads)
    if task.cells:
        for cell in task.cells:
            store.write(CELLS, cell.key, record | {"kind": "attack", "identity": cell.identity, "fit": task.fit.key})
    else:
        store.write(FITS, task.fit.key, record | {"kind": "fit", "identity": task.fit.identity})
    return ended.status, ended.seconds, ended.reason


def _manifest(plan: Plan, results: Results) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(plan.config.path),
        "config": plan.config.source.values,
        "cells": {cell.spec.key: cell.status for cell in results.cells},
        "fits": list(plan.fits),
        "environment": environment(plan.config.settings.threads),
    }
