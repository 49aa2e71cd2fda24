"""Run a benchmarks file: compute the outcomes that the store lacks, in a pool."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bnnbench.evidence.results import Results
from bnnbench.matrix.config import MAX_CELLS
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import FitSpec, Plan, make_plan, restricted
from bnnbench.pool.dask import DaskPool
from bnnbench.pool.job import Pool, Setting
from bnnbench.pool.progress import Listener
from bnnbench.running import manifest
from bnnbench.running.dispatch import Ended, Tasks, dispatched
from bnnbench.running.observer import Observer, Silent
from bnnbench.running.pools import local_pool, setting_of
from bnnbench.running.repeat import repeated
from bnnbench.running.schedule import Schedule, Task, forget
from bnnbench.store.environment import environment
from bnnbench.store.records import Ending, changed, record_of_cell, record_of_chain, record_of_fit
from bnnbench.store.store import CELLS, CHAINS, FITS, Store

MOST_PASSES = 3
"""The number of passes over a plan. A pass that finds damaged draws is followed by another, which computes them."""


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
    """Run a benchmarks file and return its results; outcomes that the store has are not computed again.

    `jobs` is the number of worker processes: by default as many as fill the usable cores at the file's `threads` each;
    0 runs everything in this process. `only` selects the cells that have all of these labels. `fresh` computes every
    selected outcome anew. `verify` is the number of finished cells, chosen at random, that are computed again and
    compared (`Results.checks`). A larger matrix than `max_cells` is refused. `dask` is the address of a scheduler whose
    cluster runs the tasks. `observer` is called as the run proceeds.

    Raises `ConfigError` for a wrong file, `StoreError` if the store cannot be written to or another run holds it, and
    `ClusterLost` if the scheduler does not answer. A failed task raises nothing: the status of its cells says so.
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
    """Run a plan and return its results; outcomes that the store has are not computed again.

    The arguments are those of `run`. `begun` is the manifest of the run, if the caller has made one.
    """
    with store.held():
        begun = begun or manifest.begun(plan)
        place = store.write_manifest(begun)
        forget(plan, store, everything=fresh)
        for _ in range(MOST_PASSES):
            tasks = Schedule(plan, store)
            damaged = _run_tasks(tasks, plan, store, jobs, dask, observer)
            if outdated := tasks.outdated():
                damaged |= _run_tasks(outdated, plan, store, jobs, dask, observer)
            if not damaged:
                break
        results = Results(plan, store)
        if verify:
            results = Results(plan, store, checks=repeated(results, verify, jobs))
        store.write_manifest(manifest.ended(begun, results), place.name)
    return results


def _run_tasks(tasks: Tasks, plan: Plan, store: Store, jobs: int | None, dask: str | None, observer: Observer) -> bool:
    """Run tasks in a pool, and return whether some of them found damaged draws."""
    started, damaged = time.perf_counter(), False
    observer.begin(plan, tasks.size, tasks.cached)
    listener = Listener()
    try:
        if tasks.size:
            setting = setting_of(plan, store, listener.address)
            limits = plan.config.settings.limits
            with _pool(plan, store, jobs, dask, tasks.size, observer) as pool:
                for task, ended in dispatched(tasks, pool, setting, limits, lambda: _show(listener, observer)):
                    if ended.parts:
                        observer.apart(task, ended.parts, ended.status, ended.reason)
                    elif ended.damaged:
                        damaged = True
                        _remove_damaged(task, store)
                        observer.note(f"{task.name}: {ended.reason}; computed again")
                    else:
                        observer.done(task, *_collect(task, ended, store, setting))
    finally:
        listener.close()
        observer.end(time.perf_counter() - started)
    return damaged


def _pool(plan: Plan, store: Store, jobs: int | None, dask: str | None, tasks: int, observer: Observer) -> Pool:
    """A pool of a Dask cluster if an address is given, and otherwise one on this computer."""
    if dask is None:
        return local_pool(plan, jobs, tasks, store.lock)
    return DaskPool(dask, store, memory=plan.config.settings.limits.memory, say=observer.note)


def _remove_damaged(task: Task, store: Store) -> None:
    """Verify the records that a task reads, so that damaged ones are moved to quarantine."""
    for kind, key in task.needs:
        store.verified_record(kind, key)


def _show(listener: Listener, observer: Observer) -> None:
    """Pass the progress that workers have sent to an observer."""
    for step in listener.steps():
        observer.step(step)


def _collect(task: Task, ended: Ended, store: Store, setting: Setting) -> tuple[str, float, str]:
    """The status of a finished task, its seconds, and the reasons in its records.

    Writes the records that the worker could not write, and the record of a fit whose chain failed.
    """
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
    """Write the records of a task whose worker could not write them."""
    trace = ended.failure.trace if ended.failure else ""
    ending = Ending(
        ended.status, ended.reason, ended.seconds, environment=environment(setting.threads), traceback=trace
    )
    if task.chain is not None:
        store.write(CHAINS, task.key, record_of_chain(task.fit, task.chain, ending))
    elif task.cells:
        for cell in task.cells:
            store.write(CELLS, cell.key, record_of_cell(cell, ending))
    else:
        store.write(FITS, task.fit.key, record_of_fit(task.fit, ending))


def _record_fit(fit: FitSpec, store: Store) -> None:
    """Write the record of a fit that has failed chains, with the reason of the first of them by number."""
    for chain in range(fit.chains):
        record = store.record(CHAINS, fit.chain_key(chain))
        if record is not None and record["status"] != "ok":
            reason = record["reason"] if record["status"] == "skipped" else f"chain {chain + 1}: {record['reason']}"
            store.write(FITS, fit.key, changed(record, kind="fit", identity=fit.identity, reason=reason))
            return
