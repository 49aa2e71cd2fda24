"""Run a plan: what the store lacks, in worker processes."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from bnnbench.matrix.attack_task import run_attack
from bnnbench.matrix.config import MAX_CELLS, read_config
from bnnbench.matrix.environment import environment
from bnnbench.matrix.executors import LocalPool, failure, usable_cores
from bnnbench.matrix.fit_task import run_chain, run_fit
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.matrix.progress import Listener, Step
from bnnbench.matrix.results import Results
from bnnbench.matrix.schedule import Schedule, Task
from bnnbench.matrix.settings import Limits
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
    workers = jobs or max(1, usable_cores() // settings.threads)
    setting = Setting(str(store.path.absolute()), settings.device, settings.threads, listener.address)
    with LocalPool(min(workers, left.size), threads=settings.threads, memory=settings.limits.memory) as pool:
        running: dict[concurrent.futures.Future[str], Task] = {}

        def submit(task: Task) -> None:
            function, arguments = _call(task)
            running[pool.submit(function, *arguments, setting, timeout=_limit(task, settings.limits))] = task

        for task in left.ready:
            submit(task)
        while running:
            finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
            for step in listener.steps():
                observer.step(step)
            for future in finished:
                task = running.pop(future)
                ended = _collect(task, future, store, setting, _limit(task, settings.limits))
                observer.done(task, *ended)
                runnable, lost = left.after(task, ended[0] == "ok")
                for follower in runnable:
                    submit(follower)
                for follower in lost:
                    observer.done(follower, "skipped", 0.0, "")


def _call(task: Task) -> tuple[Callable[..., str], tuple[Any, ...]]:
    """What a worker runs, before its setting."""
    if task.cells:
        return run_attack, (task.cells,)
    return (run_fit, (task.fit,)) if task.chain is None else (run_chain, (task.fit, task.chain))


def _limit(task: Task, limits: Limits) -> float:
    """Seconds that a task may take."""
    return limits.cell * len(task.cells) if task.cells else limits.fit


def _collect(
    task: Task, future: concurrent.futures.Future[str], store: Store, setting: Setting, limit: float
) -> tuple[str, float, str]:
    """The status of a finished task, its seconds, and what went wrong; what its worker could not record is recorded
    here."""
    error = future.exception()
    if error is None:
        status = future.result()
        kept = [(CHAINS, task.key)] if status == "ok" and task.chain is not None else task.kept
        records = [record for kind, key in kept if (record := store.record(kind, key))]
        reasons = {str(record["reason"]): None for record in records}
        return status, sum(float(record["seconds"]) for record in records), "; ".join(filter(None, reasons))
    status, reason = failure(error, limit)
    record = {"status": status, "reason": reason, "warnings": [], "seed": task.fit.seed}
    record["environment"] = environment(setting.threads)
    if task.cells:
        for cell in task.cells:
            store.write(CELLS, cell.key, record | {"kind": "attack", "identity": cell.identity, "fit": task.fit.key})
    else:
        store.write(FITS, task.fit.key, record | {"kind": "fit", "identity": task.fit.identity})
    return status, limit if status == "timeout" else 0.0, reason


def _manifest(plan: Plan, results: Results) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(plan.config.path),
        "config": plan.config.source.values,
        "cells": {cell.spec.key: cell.status for cell in results.cells},
        "fits": list(plan.fits),
        "environment": environment(plan.config.settings.threads),
    }
