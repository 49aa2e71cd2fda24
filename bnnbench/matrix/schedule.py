"""Which tasks a plan leaves to do, and which of them may run already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bnnbench.matrix import stored_outcome
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.matrix.results import FINAL, has_these_draws
from bnnbench.matrix.store import CELLS, CHAINS, DRAWS, FITS, Store


@dataclass(frozen=True)
class Task:
    """A unit of work: one chain of a fit, a fit, or the cells of one attack on a fit."""

    name: str
    fit: FitSpec
    chain: int | None = None
    cells: tuple[CellSpec, ...] = ()

    @property
    def key(self) -> str:
        """The key that its progress goes by."""
        if self.chain is not None:
            return self.fit.chain_key(self.chain)
        return self.cells[0].key if self.cells else self.fit.key

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The kind and the key of the records that it reads, where there are any."""
        if self.cells:
            return ((FITS, self.fit.key),)
        if self.chain is not None:
            return ()
        return tuple((CHAINS, self.fit.chain_key(chain)) for chain in range(self.fit.chains))

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The kind and the key of the records that it writes."""
        if self.chain is not None:
            return [(CHAINS, self.key)]
        return [(CELLS, cell.key) for cell in self.cells] or [(FITS, self.fit.key)]

    @property
    def shown(self) -> str:
        """The key under which people find what became of it: a chain that fails leaves a fit that failed."""
        return self.fit.key if self.chain is not None else self.kept[0][1]


@dataclass
class AtOnce:
    """Tasks that wait for nothing."""

    ready: list[Task]
    cached: int = 0

    @property
    def size(self) -> int:
        return len(self.ready)

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        return [], []

    def unfinished(self, task: Task) -> list[CellSpec]:
        return list(task.cells)

    def finished(self, task: Task) -> bool:
        return False


class Schedule:
    """The tasks that are left, in an order in which they can run: a fit waits for its chains, an attack for its fit.

    Making one changes nothing.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self.ready: list[Task] = []
        self.tasks: list[Task] = []
        """All of them, whether they may run already or not."""
        self.cached = 0
        """How many cells need no task."""
        self.verified: dict[str, dict[str, Any]] = {}
        """Records of cells, by key, that were found in the store."""
        self._followers: dict[str, list[Task]] = defaultdict(list)
        self._needs: dict[str, set[str]] = {}
        self._unsure: list[Task] = []
        self._store = store
        for key in plan.fits:
            self._add_fit(plan, key)

    @property
    def size(self) -> int:
        """How many tasks there are."""
        return len(self.tasks)

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        """The tasks that may run now that this one has ended, and those that never will."""
        runnable, lost = [], []
        for follower in self._followers.pop(task.key, []):
            needs = self._needs.get(follower.key)
            if needs is None:
                continue  # Lost already, with an earlier one of those that it waited for.
            needs.discard(task.key)
            if not ok:
                del self._needs[follower.key]
                lost += [follower, *self.after(follower, ok=False)[1]]
            elif not needs:
                runnable.append(follower)
        return runnable, lost

    def unfinished(self, task: Task) -> list[CellSpec]:
        """Those of a task's cells that have no outcome yet."""
        fit = self._store.record(FITS, task.fit.key)
        return [cell for cell in task.cells if not self._is_there(cell.key, fit)]

    def finished(self, task: Task) -> bool:
        """Whether the store has what a task was to write: who died with its work done has lost nothing."""
        if task.cells:
            return not self.unfinished(task)
        ((kind, key),) = task.kept
        record = self._store.record(kind, key)
        return record is not None and record["status"] == "ok"

    def outdated(self) -> AtOnce | None:
        """What must be done after all: attacks on fits that were lost, and have other draws now that they are back."""
        tasks = []
        for task in self._unsure:
            fit = self._store.record(FITS, task.fit.key)
            old = [cell for cell in task.cells if fit and not has_these_draws(self.verified[cell.key], fit)]
            if old and fit and fit["status"] == "ok":
                tasks.append(replace(task, cells=tuple(old)))
        for task in tasks:
            for cell in task.cells:
                del self.verified[cell.key]
        return AtOnce(tasks) if tasks else None

    def _add_fit(self, plan: Plan, key: str) -> None:
        fit, groups = plan.fits[key], plan.tasks[key]
        name = fit_name(groups[0][0], plan)
        record = self._fit_record(key)
        missing = list(self._missing(groups, record))
        attacks = [_attack(cells, fit, name) for cells in missing]
        if record is not None and record["status"] == "ok":
            self._add(attacks, [])
        elif record is not None and record["status"] in FINAL:
            self.cached += sum(len(cells) for cells in missing)
        elif attacks or record is None:
            # Without its record nothing says whether the posterior has converged, however many outcomes there are.
            there = [[cell for cell in cells if cell.key in self.verified] for cells in groups]
            self._unsure += [_attack(cells, fit, name) for cells in there if cells]
            chains = list(self._missing_chains(fit, name))
            task = Task(name, fit)
            self._add(chains, [])
            self._add([task], chains)
            self._add(attacks, [task])

    def _add(self, tasks: list[Task], needs: list[Task]) -> None:
        self.tasks += tasks
        if not needs:
            self.ready += tasks
            return
        for task in tasks:
            self._needs[task.key] = {needed.key for needed in needs}
            for needed in needs:
                self._followers[needed.key].append(task)

    def _missing(self, groups: list[list[CellSpec]], fit: dict[str, Any] | None) -> Iterator[list[CellSpec]]:
        for cells in groups:
            left = [cell for cell in cells if not self._is_there(cell.key, fit)]
            self.cached += len(cells) - len(left)
            if left:
                yield left

    def _is_there(self, key: str, fit: dict[str, Any] | None) -> bool:
        record = self._store.record(CELLS, key)
        if record is None or record["status"] not in FINAL or (fit and not has_these_draws(record, fit)):
            return False
        if record["status"] == "ok" and not stored_outcome.restorable(self._store, key, record):
            return False
        self.verified[key] = record
        return True

    def _fit_record(self, key: str) -> dict[str, Any] | None:
        """The record of a fit; None for one that is said to have ended well and has no draws."""
        record = self._store.record(FITS, key)
        return None if record and record["status"] == "ok" and DRAWS not in record["artefacts"] else record

    def _missing_chains(self, fit: FitSpec, name: str) -> Iterator[Task]:
        for chain in range(fit.chains):
            record = self._store.record(CHAINS, fit.chain_key(chain))
            if record is None or record["status"] != "ok":
                yield Task(chain_name(name, chain, fit.chains), fit, chain)


def forget(plan: Plan, store: Store, everything: bool) -> None:
    """Remove what a plan's next run must not find: chains that failed, for whatever fails then is told, and not that;
    or everything that the plan asks for, so that whatever stops the run, the next one goes on from there, and nothing
    old is left beside what is new."""
    for key, fit in plan.fits.items():
        for chain in map(fit.chain_key, range(fit.chains)):
            record = store.record(CHAINS, chain)
            if record and (everything or record["status"] != "ok"):
                store.remove(CHAINS, chain)
        if everything:
            store.remove(FITS, key)
    for cell in plan.cells if everything else ():
        store.remove(CELLS, cell.key)


def _attack(cells: Sequence[CellSpec], fit: FitSpec, name: str) -> Task:
    return Task(f"{cells[0].attack} on {name}", fit, cells=tuple(cells))


def fit_name(cell: CellSpec, plan: Plan) -> str:
    """What people call a cell's fit; the seed is named where there are several."""
    seed = f", seed {cell.seed}" if len(plan.config.settings.seeds) > 1 else ""
    return f"{cell.posterior} on {cell.dataset} ({cell.network}{seed})"


def chain_name(name: str, chain: int, chains: int) -> str:
    """What people call one of the chains of a fit of this name."""
    return f"{name}, chain {chain + 1} of {chains}"
