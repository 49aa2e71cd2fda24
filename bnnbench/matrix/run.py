"""Run a plan: what the store lacks, in worker processes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from bnnbench.matrix import manifest
from bnnbench.matrix.cluster import DaskPool
from bnnbench.matrix.config import MAX_CELLS, read_config
from bnnbench.matrix.dispatch import Ended, Left, dispatched
from bnnbench.matrix.environment import environment
from bnnbench.matrix.executors import local_pool
from bnnbench.matrix.plan import FitSpec, Plan, make_plan, restricted
from bnnbench.matrix.progress import Listener, Step
from bnnbench.matrix.results import Results
from bnnbench.matrix.schedule import Schedule, Task, forget
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store
from bnnbench.matrix.verification import verified_again
from bnnbench.matrix.work import Setting, setting_of


class Observer(Protocol):
    """Is told what happens during a run, from the run's own thread."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None: ...
    def done(self, task: Task, status: str, seconds: float, reason: str) -> None: ...
    def apart(self, task: Task, parts: int, status: str, reason: str) -> None: ...
    def step(self, step: Step) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self, seconds: float) -> None: ...


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        """Nothing."""

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        """Nothing."""

    def apart(self, task: Task, parts: int, status: str, reason: str) -> None:
        """Nothing."""

    def step(self, step: Step) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
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
    verify: int = 0,
    max_cells: int = MAX_CELLS,
    dask: str | None = None,
    observer: Observer | None = None,
) -> Results:
    """Run a benchmarks file and return its results; what the store already has is not computed again.

    `jobs` worker processes, by default as many as fill the usable cores at the file's `threads` each. `only` keeps the
    cells that have one of these labels; `fresh` computes everything anew; `verify` finished cells, chosen at random,
    are computed once more and compared: `Results.checks` says how. With `dask`, the address of a scheduler, tasks run
    on its cluster. Raises `ConfigError` for a bad file, `StoreError` for a store that cannot be written to, and
    `ClusterLost` where no scheduler answers any more; a task that fails does not raise, its cells say so.
    """
    plan = restricted(make_plan(read_config(path, max_cells)), only)
    return run_plan(plan, Store(store), jobs=jobs, fresh=fresh, verify=verify, dask=dask, observer=observer or Silent())


def run_plan(
    plan: Plan,
    store: Store,
    *,
    jobs: int | None,
    fresh: bool,
    observer: Observer,
    verify: int = 0,
    dask: str | None = None,
    begun: dict[str, Any] | None = None,
) -> Results:
    """Run what a plan asks for and the store lacks, and compute some of what it has once more; `begun` is the run's
    manifest, where its caller has one."""
    with store.held():
        told = begun or manifest.begun(plan)
        place = store.write_manifest(told)
        forget(plan, store, everything=fresh)
        left = Schedule(plan, store)
        _run_left(left, plan, store, jobs, dask, observer)
        if outdated := left.outdated():
            _run_left(outdated, plan, store, jobs, dask, observer)
        results = Results(plan, store, left.verified)
        if verify:
            checks = verified_again(results, verify, jobs)
            results = Results(plan, store, checks=checks)
        store.write_manifest(manifest.ended(told, results), place.name)
    return results


def _run_left(left: Left, plan: Plan, store: Store, jobs: int | None, dask: str | None, observer: Observer) -> None:
    started = time.perf_counter()
    observer.begin(plan, left.size, left.cached)
    listener = Listener()
    try:
        if left.size:
            setting = setting_of(plan, store, listener.address)
            limits = plan.config.settings.limits
            with (
                DaskPool(dask, store, memory=limits.memory, say=observer.note)
                if dask is not None
                else local_pool(plan, jobs, left.size, store.lock) as pool
            ):
                for task, ended in dispatched(left, pool, setting, limits, lambda: _show(listener, observer)):
                    if ended.parts:
                        observer.apart(task, ended.parts, ended.status, ended.reason)
                    else:
                        observer.done(task, *_collect(task, ended, store, setting))
    finally:
        listener.close()
        observer.end(time.perf_counter() - started)


def _show(listener: Listener, observer: Observer) -> None:
    for step in listener.steps():
        observer.step(step)


def _collect(task: Task, ended: Ended, store: Store, setting: Setting) -> tuple[str, float, str]:
    """The status of a finished task, its seconds, and what went wrong; what its worker could not record is recorded
    here, and so is what failed chains make of their fit."""
    if ended.lost:
        return ended.status, 0.0, ""
    if not ended.recorded:
        _record(task, ended, store, setting)
    if task.chain is not None and ended.status != "ok":
        _record_fit(task.fit, store)
    records = [record for kind, key in task.kept if (record := store.record(kind, key))]
    reasons = {str(record["reason"]): None for record in records}
    seconds = sum(float(record["seconds"]) for record in records) if ended.recorded else ended.seconds
    return ended.status, seconds, "; ".join(filter(None, reasons))


def _record(task: Task, ended: Ended, store: Store, setting: Setting) -> None:
    """Write what became of a task whose worker could not."""
    record = {"status": ended.status, "reason": ended.reason, "seconds": ended.seconds, "seed": task.fit.seed}
    record["environment"] = environment(setting.threads)
    if ended.failure and ended.failure.trace:
        record["traceback"] = ended.failure.trace
    if task.chain is not None:
        identity = task.fit.chain_identity(task.chain)
        store.write(CHAINS, task.key, record | {"kind": "chain", "identity": identity})
    elif task.cells:
        for cell in task.cells:
            store.write(CELLS, cell.key, record | {"kind": "attack", "identity": cell.identity, "fit": task.fit.key})
    else:
        store.write(FITS, task.fit.key, record | {"kind": "fit", "identity": task.fit.identity})


def _record_fit(fit: FitSpec, store: Store) -> None:
    """Write what failed chains make of their fit: what the first of them, by number, says."""
    for chain in range(fit.chains):
        record = store.record(CHAINS, fit.chain_key(chain))
        if record is not None and record["status"] != "ok":
            told = record["reason"] if record["status"] == "skipped" else f"chain {chain + 1}: {record['reason']}"
            kept = {name: value for name, value in record.items() if name not in ("sha256", "artefacts", "key")}
            store.write(FITS, fit.key, kept | {"kind": "fit", "identity": fit.identity, "reason": told})
            return
