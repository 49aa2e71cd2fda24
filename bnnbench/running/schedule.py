"""The tasks that compute the outcomes of a plan which a store lacks, and the order of these tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bnnbench.core import dependencies
from bnnbench.errors import StoreError
from bnnbench.evidence.cell_reader import is_about
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.running.names import fit_name, part_name
from bnnbench.running.task import Independent, Task
from bnnbench.running.tasks import stored_memory
from bnnbench.store import codec
from bnnbench.store.records import FINAL
from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS, Store


class Schedule:
    """The tasks of a plan that remain to be done, given a store. A fit waits for its parts, and cells for their fit.

    A fit waits for the fits that it is made of too, and a cell for those that it compares with. It runs even if these
    fail: its record then states the reason.

    `attempted` holds the (kind, key) of records that this run has written: none of them is written again because of its
    status. Making a schedule does not change the store.
    """

    def __init__(self, plan: Plan, store: Store, attempted: Collection[tuple[str, str]] = ()) -> None:
        self.ready: list[Task] = []
        self.tasks: list[Task] = []
        """All tasks, those that wait included."""
        self.cached = 0
        """The number of cells that need no task, because the store has their outcome."""
        self.kept_fits = 0
        """The number of fits that need no task, because the store has them."""
        self.changed: dict[str, str] = {}
        """A file for each fit in the store that read it when it had another content than now, by the fit's key.

        Such a fit and its cells count as absent.
        """
        self._draws_of: dict[str, str | None] = {}
        """The checksum of the draws that each cell in the store was computed with, by the cell's key."""
        self._followers: dict[str, list[Task]] = defaultdict(list)
        """The tasks that wait for a task, by its key."""
        self._needs: dict[str, set[str]] = {}
        """The keys of the tasks that a task waits for, by its key."""
        self._essential: set[tuple[str, str]] = set()
        """The pairs of keys of a task and of one that it waits for without which it is lost."""
        self._of_fits: dict[str, Task] = {}
        """The task of each fit that is made, by the fit's key."""
        self._uncertain: list[Task] = []
        """Cells in the store whose fit has no record, grouped as tasks; `outdated` decides about them."""
        self._store, self._attempted = store, attempted
        for key in plan.fits:
            self._add_fit(plan, key)

    @property
    def size(self) -> int:
        """The number of tasks."""
        return len(self.tasks)

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        """The tasks that become ready now that `task` has ended, and those that are lost because it was not `ok`."""
        runnable, lost = [], []
        for follower in self._followers.pop(task.key, []):
            needs = self._needs.get(follower.key)
            if needs is None:
                continue  # It was lost already, when another task that it waits for failed.
            needs.discard(task.key)
            if not ok and (follower.key, task.key) in self._essential:
                del self._needs[follower.key]
                further = self.after(follower, ok=False)
                runnable += further[0]
                lost += [follower, *further[1]]
            elif not needs:
                runnable.append(follower)
        return runnable, lost

    def unfinished(self, task: Task) -> list[CellSpec]:
        """The cells of a task that have no outcome yet."""
        fit = self._store.record(FITS, task.fit.key)
        return [cell for cell in task.cells if not self._is_stored(cell, fit)]

    def finished(self, task: Task) -> bool:
        """Whether the store has every record that a task writes: a worker may die after it has written them."""
        if task.cells:
            return not self.unfinished(task)
        ((kind, key),) = task.kept
        record = self._store.record(kind, key)
        return record is not None and record["status"] == "ok"

    def outdated(self) -> Independent | None:
        """Tasks for the cells in the store whose fit had no record and, fitted in this run, has other draws.

        None if there are none.
        """
        tasks = []
        for task in self._uncertain:
            fit = self._store.record(FITS, task.fit.key)
            old = [cell for cell in task.cells if fit and not is_about(self._draws_of[cell.key], fit)]
            if fit and old and fit["status"] == "ok":
                tasks.append(replace(task, cells=tuple(old)))
        return Independent(tasks) if tasks else None

    def _add_fit(self, plan: Plan, key: str) -> None:
        """Add the tasks that a fit and its cells need."""
        fit, groups = plan.fits[key], plan.tasks[key]
        name = fit_name(fit, plan)
        record = self._fit_record(fit)
        missing = list(self._missing(groups, record))
        measurements = [_measurement(cells, fit, name) for cells in missing]
        self.kept_fits += record is not None and record["status"] in FINAL
        if record is not None and record["status"] == "ok":
            for task in measurements:
                self._add([task], [], self._others(task))
        elif record is not None and (record["status"] in FINAL or (FITS, key) in self._attempted):
            self.cached += sum(len(cells) for cells in missing)
        elif measurements or record is None or not groups:
            # The fit is computed even if all its cells have outcomes: its card is in its record. One without cells of
            # its own is needed by others.
            kept = [[cell for cell in cells if cell.key in self._draws_of] for cells in groups]
            self._uncertain += [_measurement(cells, fit, name) for cells in kept if cells]
            parts = list(self._missing_parts(fit, name))
            task = Task(name, fit)
            self._add(parts, [], [])
            self._add([task], parts, self._others(task))
            self._of_fits[key] = task
            for measurement in measurements:
                self._add([measurement], [task], self._others(measurement))

    def _others(self, task: Task) -> list[Task]:
        """The tasks of the fits that a fit is made of, or that cells compare with."""
        fits = task.cells[0].needs[1:] if task.cells else task.fit.needs
        return [self._of_fits[fit.key] for fit in fits if fit.key in self._of_fits]

    def _add(self, tasks: list[Task], needs: list[Task], others: list[Task]) -> None:
        """Add tasks, each of which waits for all of `needs` and `others`, and is lost without one of `needs`."""
        self.tasks += tasks
        if not needs and not others:
            self.ready += tasks
            return
        for task in tasks:
            self._needs[task.key] = {needed.key for needed in (*needs, *others)}
            self._essential |= {(task.key, needed.key) for needed in needs}
            for needed in (*needs, *others):
                self._followers[needed.key].append(task)

    def _missing(self, groups: list[list[CellSpec]], fit: dict[str, Any] | None) -> Iterator[list[CellSpec]]:
        """The cells of each group that the store has no outcome of; groups without any are left out."""
        for cells in groups:
            missing = [cell for cell in cells if not self._is_stored(cell, fit)]
            self.cached += len(cells) - len(missing)
            if missing:
                yield missing

    def _is_stored(self, cell: CellSpec, fit: dict[str, Any] | None) -> bool:
        """Whether the store has a final outcome of a cell that was computed with the draws of its fit's record.

        In a run that has attempted the cell any outcome is final.
        """
        record = self._store.record(CELLS, cell.key)
        if record is None or (fit is None and cell.fit.key in self.changed):
            return False
        if dependencies.changed(record, cell.component):
            return False
        if record["status"] not in FINAL:
            return (CELLS, cell.key) in self._attempted
        draws = record.get("draws_sha256")
        if fit and not is_about(draws, fit):
            return False
        if record["status"] == "ok" and not _is_restorable(self._store, cell, record):
            return False
        self._draws_of[cell.key] = draws
        return True

    def _fit_record(self, fit: FitSpec) -> dict[str, Any] | None:
        """The record of a fit; None if there is none, if it is `ok` but has no draws, or if a file has changed.

        The file is one that the fit's data set, network or posterior has read.
        """
        record = self._store.record(FITS, fit.key)
        if change := dependencies.changed(record, fit.dataset, fit.network, fit.posterior):
            self.changed[fit.key] = change.file
            return None
        return None if record and record["status"] == "ok" and DRAWS not in record["artefacts"] else record

    def _missing_parts(self, fit: FitSpec, name: str) -> Iterator[Task]:
        """The tasks of the parts of a fit that the store does not have."""
        for part in range(fit.parts):
            record = self._store.record(CHAINS, fit.part_key(part))
            absent = record is None or record["status"] != "ok" or DRAWS not in record["artefacts"]
            if absent or dependencies.changed(record, fit.dataset, fit.network, fit.posterior):
                yield Task(part_name(name, fit, part), fit, part)


def forget(plan: Plan, store: Store, everything: bool) -> None:
    """Before a run, delete failed records of parts, so that only new failures are reported.

    With `everything`, delete all records that the plan asks for. A run that is stopped can then be continued without
    mixing old outcomes with new ones.
    """
    for key, fit in plan.fits.items():
        for part in fit.part_keys:
            record = store.record(CHAINS, part)
            if record and (everything or record["status"] != "ok"):
                store.remove(CHAINS, part)
        if everything:
            store.remove(FITS, key)
    if everything:
        stored_memory.forget(plan.fits.values(), store)
        for cell in plan.cells:
            store.remove(CELLS, cell.key)


def _is_restorable(store: Store, cell: CellSpec, record: dict[str, Any]) -> bool:
    """Whether the result of a cell can be loaded. If not, the cell is computed again."""
    try:
        codec.loaded(store, cell.key, record, cell.measurement, cell.context)
    except StoreError:
        return False
    return True


def _measurement(cells: Sequence[CellSpec], fit: FitSpec, name: str) -> Task:
    """The task of cells of one measurement; `name` is that of their fit."""
    return Task(f"{cells[0].label} on {name}", fit, cells=tuple(cells))
