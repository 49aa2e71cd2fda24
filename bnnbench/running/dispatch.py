"""Dispatch tasks to a pool, and try again those that failed by chance."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bnnbench.errors import DamagedArtefact, StoreUnwritable
from bnnbench.matrix.plan import CellSpec
from bnnbench.matrix.settings import Limits
from bnnbench.pool.failures import Failure, failure
from bnnbench.pool.job import Job, Pool, Setting
from bnnbench.running.task import Task
from bnnbench.running.tasks.cell_task import run_cells
from bnnbench.running.tasks.fit_task import run_fit, run_part
from bnnbench.store.records import FINAL


class Tasks(Protocol):
    """The tasks of a run, and which of them wait for others."""

    ready: list[Task]
    """The tasks that wait for no other."""

    @property
    def size(self) -> int:
        """The number of tasks, those that wait included."""

    cached: int
    """The number of cells that need no task, because the store has their outcome."""

    kept_fits: int
    """The number of fits that need no task, because the store has them."""

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        """The tasks that become ready now that `task` has ended, and those that are lost because it was not `ok`."""

    def unfinished(self, task: Task) -> list[CellSpec]:
        """The cells of a task that have no outcome yet."""

    def finished(self, task: Task) -> bool:
        """Whether the store has every record that a task writes."""


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    `seconds` is the time since the task was given to the pool. `recorded`: the worker wrote the record. `lost`: a
    dependency failed. `damaged`: a record or artefact that the task reads is damaged. `parts`: the number of tasks of
    one cell that replace it, because one of its cells may have caused the failure of all; 0 if it is not replaced.
    `failure`: why the worker could not write the record.
    """

    status: str
    reason: str = ""
    seconds: float = 0.0
    recorded: bool = False
    lost: bool = False
    damaged: bool = False
    parts: int = 0
    failure: Failure | None = None


def dispatched(
    tasks: Tasks, pool: Pool, setting: Setting, limits: Limits, tick: Callable[[], None]
) -> Iterator[tuple[Task, Ended]]:
    """Run all tasks in a pool, and yield each task with its ending; `tick` is called several times a second.

    Tasks that become ready run before those that were ready earlier, so that the cells of a fit follow it at once. If a
    task of several cells fails, its unfinished cells are tried again, each as a task of its own, so that one failure
    cannot affect the rest. Raises `StoreUnwritable` if a worker cannot write to the store.
    """
    waiting, tries = deque(tasks.ready), Tries(limits.retries)
    running: dict[concurrent.futures.Future[str], Task] = {}
    began: dict[concurrent.futures.Future[str], float] = {}
    while waiting or running:
        while waiting and len(running) < pool.capacity:
            task, started = waiting.popleft(), time.perf_counter()
            future = pool.submit(_job(task, limits), setting)
            running[future], began[future] = task, started
        finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
        pool.watch()
        tick()
        for future in finished:
            task = running.pop(future)
            ended = _ended(future, _limit(task, limits), limits.memory, time.perf_counter() - began.pop(future))
            if ended.failure and tasks.finished(task):
                ended = Ended("ok", recorded=True)
            if len(task.cells) > 1 and _is_split(tasks, task, ended):
                parts = [replace(task, cells=(cell,)) for cell in tasks.unfinished(task)]
                waiting.extendleft(reversed(parts))
                yield task, Ended(ended.status, ended.reason, parts=len(parts))
                continue
            if tries.allow_another(task, ended):
                waiting.appendleft(task)  # It runs in a new process, which earlier tasks cannot have affected.
                continue
            yield task, _counted(ended, tries.of[task.key])
            ready, lost = tasks.after(task, ended.status == "ok")
            waiting.extendleft(reversed(ready))
            for follower in lost:
                yield follower, Ended("skipped", lost=True)


def _is_split(tasks: Tasks, task: Task, ended: Ended) -> bool:
    """Whether the cells of a task are tried one by one, because one of them may have caused the ending of all."""
    if ended.damaged or ended.status == "ok":
        return False
    return ended.status not in FINAL or bool(tasks.unfinished(task))


class Tries:
    """Counts the tries of each task, and decides whether a task is tried again."""

    MOST_INNOCENT = 3
    """The largest number of tries of one task that do not count because the task did not cause their failure."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self.of: Counter[str] = Counter()
        """The number of counted tries of each task, by its key."""
        self._innocent: Counter[str] = Counter()

    def allow_another(self, task: Task, ended: Ended) -> bool:
        """Count a try of a task, given how it ended, and return whether the task is tried again."""
        why = ended.failure
        if why is not None and why.innocent and self._innocent[task.key] < self.MOST_INNOCENT:
            self._innocent[task.key] += 1
            return True
        self.of[task.key] += 1
        return why is not None and why.by_chance and self.of[task.key] <= self._retries


def _ended(future: concurrent.futures.Future[str], limit: float, memory: int, seconds: float) -> Ended:
    """How the task of a finished future ended, given its limits in seconds and bytes. Raises `StoreUnwritable`."""
    error = future.exception()
    if error is None:
        return Ended(future.result(), recorded=True)
    if isinstance(error, StoreUnwritable):
        raise error
    if isinstance(error, DamagedArtefact):
        return Ended("missing", str(error), seconds, damaged=True)
    why = failure(error, limit, memory)
    return Ended(why.status, why.reason, seconds, failure=why)


def _counted(ended: Ended, tries: int) -> Ended:
    """The ending of the last try, with the number of tries in the reason if there were several."""
    return replace(ended, reason=f"{ended.reason} {tries} times") if ended.failure and tries > 1 else ended


def _job(task: Task, limits: Limits) -> Job:
    function, arguments = _call(task)
    return Job(function, arguments, task.needs, _limit(task, limits))


def _call(task: Task) -> tuple[Callable[..., str], tuple[Any, ...]]:
    """The function that a worker calls, and its arguments without the setting."""
    if task.cells:
        return run_cells, (task.cells,)
    return (run_fit, (task.fit,)) if task.part is None else (run_part, (task.fit, task.part))


def _limit(task: Task, limits: Limits) -> float:
    """The time limit of a task in seconds."""
    return limits.cell * len(task.cells) if task.cells else limits.fit
