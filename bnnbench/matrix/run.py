"""Run a plan: what the store lacks, in worker processes."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bnnbench.matrix import work
from bnnbench.matrix.config import MAX_CELLS, read_config
from bnnbench.matrix.environment import environment
from bnnbench.matrix.executors import LocalPool, failure, usable_cores
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan, make_plan
from bnnbench.matrix.progress import Listener, Step
from bnnbench.matrix.results import FINAL, Results
from bnnbench.matrix.store import Store


@dataclass(frozen=True)
class Task:
    """A unit of work: a fit, or the cells of one attack on a fit."""

    name: str
    fit: FitSpec
    cells: tuple[CellSpec, ...] = ()

    @property
    def key(self) -> str:
        """The key that its progress and its timing go by."""
        return self.cells[0].key if self.cells else self.fit.key


class Observer(Protocol):
    """Is told what happens during a run, from the run's own thread."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None: ...
    def done(self, task: Task, statuses: dict[str, str], seconds: float, reason: str) -> None: ...
    def step(self, step: Step) -> None: ...
    def end(self, seconds: float) -> None: ...


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        """Nothing."""

    def done(self, task: Task, statuses: dict[str, str], seconds: float, reason: str) -> None:
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
    started = time.perf_counter()
    store.prepare()
    pending = _Pending(plan, store, fresh)
    observer.begin(plan, pending.size, pending.cached)
    listener = Listener()
    try:
        if pending.size:
            _run_pending(pending, plan, store, jobs, observer, listener)
    finally:
        listener.close()
        observer.end(time.perf_counter() - started)
    results = Results(plan, store, pending.verified)
    store.write_manifest(_manifest(plan, results))
    return results


class _Pending:
    """The tasks that are left: fits that the store lacks, and attacks, those of a missing fit waiting for it."""

    def __init__(self, plan: Plan, store: Store, fresh: bool) -> None:
        self.ready: list[Task] = []
        self.waiting: dict[str, list[Task]] = {}
        self.verified: dict[str, dict[str, Any]] = {}
        self.cached = 0
        for key, fit in plan.fits.items():
            missing, cached = self._missing(plan.tasks[key], store, fresh)
            self.cached += cached
            name = fit_name(plan.tasks[key][0][0], plan)
            attacks = [Task(f"{cells[0].attack} on {name}", fit, tuple(cells)) for cells in missing]
            record = None if fresh else store.record("fits", key)
            if record is not None and record["status"] == "ok":
                self.ready += attacks
            elif record is not None and record["status"] in FINAL:
                self.cached += sum(len(cells) for cells in missing)
            elif attacks or record is None:
                # Without its record nothing says whether the posterior has converged, however many outcomes there are.
                self.ready.append(Task(name, fit))
                self.waiting[key] = attacks
        self.size = len(self.ready) + sum(len(tasks) for tasks in self.waiting.values())

    def _missing(self, groups: list[list[CellSpec]], store: Store, fresh: bool) -> tuple[list[list[CellSpec]], int]:
        cached = 0
        missing = []
        for cells in groups:
            left = [cell for cell in cells if fresh or not self._is_there(cell.key, store)]
            cached += len(cells) - len(left)
            if left:
                missing.append(left)
        return missing, cached

    def _is_there(self, key: str, store: Store) -> bool:
        record = store.record("cells", key)
        if record is None or record["status"] not in FINAL:
            return False
        self.verified[key] = record
        return True


def fit_name(cell: CellSpec, plan: Plan) -> str:
    """What people call a cell's fit; the seed is named where there are several."""
    seed = f", seed {cell.seed}" if len(plan.config.settings.seeds) > 1 else ""
    return f"{cell.posterior} on {cell.dataset} ({cell.network}{seed})"


def _run_pending(
    pending: _Pending, plan: Plan, store: Store, jobs: int | None, observer: Observer, listener: Listener
) -> None:
    settings = plan.config.settings
    workers = jobs or max(1, usable_cores() // settings.threads)
    setting = work.Setting(str(store.path.absolute()), settings.device, settings.threads, listener.address)
    limits = settings.limits
    with LocalPool(min(workers, pending.size), threads=settings.threads, memory=limits.memory) as pool:
        running: dict[concurrent.futures.Future[Any], tuple[Task, float]] = {}

        def submit(task: Task) -> None:
            limit = limits.cell * len(task.cells) if task.cells else limits.fit
            function: Callable[..., Any] = work.run_attack if task.cells else work.run_fit
            argument = task.cells or task.fit
            running[pool.submit(function, argument, setting, timeout=limit)] = (task, limit)

        for task in pending.ready:
            submit(task)
        while running:
            finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
            for step in listener.steps():
                observer.step(step)
            for future in finished:
                task, limit = running.pop(future)
                statuses, seconds, reason = _collect(task, future, store, setting, limit)
                observer.done(task, statuses, seconds, reason)
                followers = pending.waiting.pop(task.fit.key, []) if not task.cells else []
                for follower in followers:
                    if statuses[task.fit.key] == "ok":
                        submit(follower)
                    else:
                        observer.done(follower, {cell.key: "skipped" for cell in follower.cells}, 0.0, "")


def _collect(
    task: Task, future: concurrent.futures.Future[Any], store: Store, setting: work.Setting, limit: float
) -> tuple[dict[str, str], float, str]:
    """The statuses of a finished task by key, its seconds, and what went wrong.

    A task that its worker could not record is recorded here.
    """
    keys = [cell.key for cell in task.cells] or [task.fit.key]
    kind = "cells" if task.cells else "fits"
    error = future.exception()
    if error is None:
        result = future.result()
        statuses = result if isinstance(result, dict) else {task.fit.key: str(result)}
        records = [record for key in keys if (record := store.record(kind, key))]
        reasons = {str(record["reason"]): None for record in records}
        return statuses, sum(float(record["seconds"]) for record in records), "; ".join(filter(None, reasons))
    status, reason = failure(error, limit)
    for number, key in enumerate(keys):
        identity = task.cells[number].identity if task.cells else task.fit.identity
        store.write(
            kind,
            key,
            {
                "kind": "attack" if task.cells else "fit",
                "identity": identity,
                "status": status,
                "reason": reason,
                "seed": task.fit.seed,
                "warnings": [],
                "environment": environment(setting.threads),
            },
        )
    return dict.fromkeys(keys, status), limit if status == "timeout" else 0.0, reason


def _manifest(plan: Plan, results: Results) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(plan.config.path),
        "config": plan.config.source.values,
        "cells": {cell.spec.key: cell.status for cell in results.cells},
        "fits": list(plan.fits),
        "environment": environment(plan.config.settings.threads),
    }
