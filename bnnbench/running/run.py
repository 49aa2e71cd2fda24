"""Run a benchmarks file: compute the outcomes that the store lacks, in a pool."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.core import arguments
from bnnbench.evidence.results import Results
from bnnbench.matrix.config import MAX_CELLS
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import FitSpec, Plan, make_plan, restricted
from bnnbench.matrix.radii import check_radii
from bnnbench.plugins.described import counted
from bnnbench.pool.dask import DaskPool
from bnnbench.pool.dask_address import check_address, check_scheduler
from bnnbench.pool.job import Pool, Setting
from bnnbench.pool.progress import Listener
from bnnbench.running import manifest
from bnnbench.running.dispatch import Ended, Tasks, dispatched
from bnnbench.running.display import observer as shown
from bnnbench.running.forgetting import forget
from bnnbench.running.names import fit_name
from bnnbench.running.observer import Observer, Silent
from bnnbench.running.pools import local_pool, setting_of
from bnnbench.running.preflight import check_device, tell
from bnnbench.running.repeat import repeated
from bnnbench.running.schedule import Schedule
from bnnbench.running.task import Task
from bnnbench.running.tasks import stored_memory
from bnnbench.store.environment import environment
from bnnbench.store.records import Ending, changed, record_of_cell, record_of_fit, record_of_part
from bnnbench.store.store import CELLS, CHAINS, FITS, Store

MOST_PASSES = 3
"""The number of passes over a plan. A pass that finds damaged draws is followed by another, which computes them."""


@arguments.told_names
def run(
    path: str | Path,
    *,
    store: str | Path = "store",
    jobs: int | None = None,
    only: str | Iterable[str] = (),
    fresh: bool = False,
    verify: int = 0,
    max_cells: int = MAX_CELLS,
    dask: str | None = None,
    observer: Observer | None = None,
    progress: bool = False,
) -> Results:
    """Run a benchmarks file and return its results; outcomes that the store has are not computed again.

    `jobs` is the number of worker processes: by default as many as fill the usable cores at the file's `threads` each;
    0 runs everything in this process. `only` selects the cells that have all of these labels. `fresh` computes every
    selected outcome anew. `verify` is the number of finished cells, chosen at random, that are computed again on this
    computer and compared (`Results.checks`). A larger matrix than `max_cells` is refused. `dask` is the address of a
    scheduler whose cluster runs the tasks. `observer` is called as the run proceeds. `progress` shows the run on
    standard error or in a notebook.

    Raises `ValueError` for a negative number, `TypeError` for an argument of another type, `ConfigError` for a wrong
    file or a text that is no address, `StoreError` if the store cannot be written to or another run holds it, and
    `ClusterLost` if the scheduler does not answer. A failed task raises nothing: the status of its cells says so.
    """
    for name, value, least in (("jobs", jobs, 0), ("verify", verify, 0), ("max_cells", max_cells, 1)):
        if name != "jobs" or value is not None:
            arguments.integer(value, argument=name, least=least)
    for name, value in (("fresh", fresh), ("progress", progress)):
        arguments.flag(value, argument=name)
    file = arguments.path(path, argument="path", meant="the path of a benchmarks file")
    place = arguments.path(store, argument="store", meant="the path of a store")
    if dask is not None:
        check_address(dask)
    plan = restricted(make_plan(read_config(file, max_cells)), only)
    check_radii(plan.config, plan.cells)
    observer = observer or (shown() if progress else Silent())
    return run_plan(plan, Store(place), jobs=jobs, fresh=fresh, verify=verify, dask=dask, observer=observer)


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
    if dask is None:  # The machines of a cluster may have other devices than this computer.
        check_device(plan, store, jobs, fresh=fresh)
    elif fresh:
        check_scheduler(dask)  # Before anything is deleted.
    with store.held():
        begun = begun or manifest.begun(plan)
        place = store.write_manifest(begun)
        forget(plan, store, everything=fresh)
        done = _Done()
        for _ in range(MOST_PASSES):
            done.damaged = False
            tasks = Schedule(plan, store, frozenset(done.attempted))
            for key, file in tasks.changed.items():
                name = fit_name(plan.fits[key], plan)
                observer.note(f"{name} is fitted anew: {file}, which it depends on, has changed")
            _run_tasks(tasks, plan, store, jobs, dask, observer, done)
            if outdated := tasks.outdated():
                _run_tasks(outdated, plan, store, jobs, dask, observer, done)
            if not done.damaged:
                break
        results = Results(plan, store)
        # Before the verification too: if that fails, the run has ended nevertheless.
        store.write_manifest(manifest.ended(begun, results), place.name)
        if verify:
            results = Results(plan, store, checks=repeated(results, verify, jobs, observer))
            store.write_manifest(manifest.ended(begun, results), place.name)
    return results


@dataclass
class _Done:
    """What a run has done so far."""

    damaged: bool = False
    """Whether a task of the current pass has found damaged draws."""
    attempted: set[tuple[str, str]] = field(default_factory=set)
    """The (kind, key) of the records that this run has written."""

    def add(self, task: Task, ended: Ended) -> None:
        """Note the records of a task that has ended."""
        if not ended.lost:
            self.attempted.update(task.kept)
            if task.part is not None and ended.status != "ok":
                self.attempted.add((FITS, task.fit.key))


def _run_tasks(
    tasks: Tasks, plan: Plan, store: Store, jobs: int | None, dask: str | None, observer: Observer, done: _Done
) -> None:
    """Run tasks in a pool, and note in `done` which records were written, and whether damaged draws were found."""
    started = time.perf_counter()
    observer.begin(plan, tasks.size, tasks.cached)
    if tasks.kept_fits or tasks.cached:
        observer.note(f"kept from the store: {counted(tasks.kept_fits, 'fit')} and {counted(tasks.cached, 'cell')}")
    listener = Listener()
    try:
        if tasks.size:
            setting = setting_of(plan, store, listener.address)
            limits = plan.config.settings.limits
            with _pool(plan, store, jobs, dask, tasks.size, observer) as pool:
                if dask is None and jobs != 0:
                    tell(plan, tasks.ready, pool, setting, observer)
                for task, ended in dispatched(tasks, pool, setting, limits, lambda: _show(listener, observer)):
                    if ended.parts:
                        observer.apart(task, ended.parts, ended.status, ended.reason)
                    elif ended.damaged:
                        done.damaged = True
                        _remove_damaged(task, store)
                        observer.note(f"{task.name}: {ended.reason}; computed again")
                    else:
                        observer.done(task, *_collect(task, ended, store, setting))
                        done.add(task, ended)
    finally:
        listener.close()
        observer.end(time.perf_counter() - started)


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

    Writes the records that the worker could not write, and the record of a fit of which a part failed.
    """
    if ended.lost:
        return ended.status, 0.0, ""
    if not ended.recorded:
        _record(task, ended, store, setting)
    if task.part is not None and ended.status != "ok":
        _record_fit(task.fit, store)
    if task.part is None and not task.cells and ended.status == "ok":
        stored_memory.tidied(task.fit, store)  # Not by the worker: on a cluster its store has none of the states.
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
    if task.part is not None:
        store.write(CHAINS, task.key, record_of_part(task.fit, task.part, ending))
    elif task.cells:
        for cell in task.cells:
            store.write(CELLS, cell.key, record_of_cell(cell, ending))
    else:
        store.write(FITS, task.fit.key, record_of_fit(task.fit, ending))


def _record_fit(fit: FitSpec, store: Store) -> None:
    """Write the record of a fit that has failed parts, with the reason of the first of them by number."""
    for part in range(fit.parts):
        record = store.record(CHAINS, fit.part_key(part))
        if record is not None and record["status"] != "ok":
            reason = (
                record["reason"] if record["status"] == "skipped" else f"{fit.part_noun} {part + 1}: {record['reason']}"
            )
            store.write(FITS, fit.key, changed(record, kind="fit", identity=fit.identity, reason=reason))
            return
