"""The tasks that compute the outcomes of a plan which a store lacks, and the order of these tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bnnbench.core import dependencies
from bnnbench.errors import StoreError
from bnnbench.evidence.about_draws import is_about, other_draws
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.running.names import fit_name, part_name
from bnnbench.running.task import Independent, Task
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
        self._kept: set[str] = set()
        """The keys of the cells that the store has an outcome of."""
        self._followers: dict[str, list[Task]] = defaultdict(list)
        """The tasks that wait for a task, by its key."""
        self._needs: dict[str, set[str]] = {}
        """The keys of the tasks that a task waits for, by its key."""
        self._essential: set[tuple[str, str]] = set()
        """The pairs of keys of a task and of one that it waits for without which it is lost."""
        self._of_fits: dict[str, Task] = {}
        """The task of each fit that is made, by the fit's key."""
        self._uncertain: list[Task] = []
        """Cells in the store about fits that are made, grouped as tasks; `outdated` decides about them."""
        self._store, self._attempted = store, attempted
        for key in plan.fits:
            self._add_fit(plan, key)
        # Afterwards, because a cell may compare with a fit that stands behind its own.
        for task in self.tasks:
            self._wait_for_others(task)
        for key, fit in plan.fits.items():
            kept = [[cell for cell in cells if cell.key in self._kept] for cells in plan.tasks[key]]
            tasks = [_measurement(cells, fit, fit_name(fit, plan)) for cells in kept if cells]
            self._uncertain += [task for task in tasks if key in self._of_fits or self._others(task)]

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
        """Tasks for the cells in the store that are about a fit which, made in this run, has other draws than before.

        The fit had no record, and is their own or one that they compare with. None if there are none.
        """
        tasks = []
        for task in self._uncertain:
            fit = self._store.record(FITS, task.fit.key)
            if fit is None or fit["status"] != "ok":
                continue
            records = [(cell, self._store.record(CELLS, cell.key)) for cell in task.cells]
            if old := [cell for cell, record in records if not self._has_these_draws(cell, record, fit)]:
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
            self._add(measurements, [])
        elif record is not None and (record["status"] in FINAL or (FITS, key) in self._attempted):
            self.cached += sum(len(cells) for cells in missing)
        elif measurements or record is None or not groups:
            # The fit is computed even if all its cells have outcomes: its card is in its record. One without cells of
            # its own is needed by others.
            parts = list(self._missing_parts(fit, name))
            task = Task(name, fit)
            self._add(parts, [])
            self._add([task], parts)
            self._add(measurements, [task])
            self._of_fits[key] = task

    def _others(self, task: Task) -> list[Task]:
        """The tasks of the fits that a fit is made of, or that cells compare with."""
        fits = task.cells[0].needs[1:] if task.cells else task.fit.needs
        return [self._of_fits[fit.key] for fit in fits if fit.key in self._of_fits]

    def _add(self, tasks: list[Task], needs: list[Task]) -> None:
        """Add tasks, each of which waits for all of `needs`, and is lost without one of them."""
        self.tasks += tasks
        for task in tasks:
            self._essential |= {(task.key, needed.key) for needed in needs}
            self._wait(task, needs)

    def _wait_for_others(self, task: Task) -> None:
        """Let a task wait for the fits that it is made of or compares with, or be ready if it waits for nothing."""
        self._wait(task, self._others(task))
        if task.key not in self._needs:
            self.ready.append(task)

    def _wait(self, task: Task, needs: list[Task]) -> None:
        """Let a task wait for others."""
        known = self._needs.setdefault(task.key, set()) if needs else set()
        for needed in needs:
            if needed.key not in known:  # A cell may compare its fit with itself.
                known.add(needed.key)
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
        if not self._has_these_draws(cell, record, fit):
            return False
        if record["status"] == "ok" and not _is_restorable(self._store, cell, record):
            return False
        self._kept.add(cell.key)
        return True

    def _has_these_draws(self, cell: CellSpec, record: dict[str, Any] | None, fit: dict[str, Any] | None) -> bool:
        """Whether the record of a cell is about the draws in the store: of its fit, and of those it compares with.

        `fit` is the record of its fit.
        """
        if record is None or (fit and not is_about(record.get("draws_sha256"), fit)):
            return False
        return other_draws(record, cell.needs[1:], self._stored_fit) is None

    def _stored_fit(self, key: str) -> dict[str, Any] | None:
        return self._store.record(FITS, key)

    def _fit_record(self, fit: FitSpec) -> dict[str, Any] | None:
        """The record of a fit; None if there is none, if it is `ok` but has no draws, or if a file has changed.

        The file is one that the fit's data set, network or posterior has read. A fit that is made of other draws than
        the store has now counts as absent too.
        """
        record = self._store.record(FITS, fit.key)
        if change := dependencies.changed(record, fit.dataset, fit.network, fit.posterior):
            self.changed[fit.key] = change.file
            return None
        if record and other_draws(record, fit.needs, self._stored_fit):
            return None
        return None if record and record["status"] == "ok" and DRAWS not in record["artefacts"] else record

    def _missing_parts(self, fit: FitSpec, name: str) -> Iterator[Task]:
        """The tasks of the parts of a fit that the store does not have."""
        for part in range(fit.parts):
            record = self._store.record(CHAINS, fit.part_key(part))
            absent = record is None or record["status"] != "ok" or DRAWS not in record["artefacts"]
            if absent or dependencies.changed(record, fit.dataset, fit.network, fit.posterior):
                yield Task(part_name(name, fit, part), fit, part)


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
