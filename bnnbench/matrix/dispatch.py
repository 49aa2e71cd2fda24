"""Hand out the tasks of a schedule, as many at once as there are places, and again to those who died by chance."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bnnbench.errors import StoreUnwritable
from bnnbench.matrix.attack_task import run_attack
from bnnbench.matrix.executors import Work
from bnnbench.matrix.fit_task import run_chain, run_fit
from bnnbench.matrix.plan import CellSpec
from bnnbench.matrix.results import FINAL
from bnnbench.matrix.schedule import Task
from bnnbench.matrix.settings import Limits
from bnnbench.matrix.work import Setting
from bnnbench.matrix.workers.failures import Failure, failure


class Pool(Protocol):
    """Where tasks run: `capacity` of them at once."""

    capacity: int

    def submit(self, work: Work, setting: Setting) -> concurrent.futures.Future[str]:
        """Start a piece of work; its future holds the status that it recorded, or why it could not."""

    def watch(self) -> None:
        """Enforce limits; called several times a second."""


class Left(Protocol):
    """What is to be done: some tasks now, and others after them."""

    ready: list[Task]

    @property
    def size(self) -> int:
        """How many tasks there are in all."""

    cached: int
    """How many cells need no task."""

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        """The tasks that may run now that this one has ended, and those that never will."""

    def unfinished(self, task: Task) -> list[CellSpec]:
        """Those of a task's cells that have no outcome yet."""

    def finished(self, task: Task) -> bool:
        """Whether a task that did not end by itself had done its work."""


@dataclass(frozen=True)
class Ended:
    """What became of a task. It has recorded that itself, or not; or was lost with one that it waited for; or its cells
    go on as so many tasks of their own, for one of them may have spoilt it for all."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    recorded: bool = False
    lost: bool = False
    parts: int = 0
    failure: Failure | None = None
    """Why it could not record it."""


def dispatched(
    left: Left, pool: Pool, setting: Setting, limits: Limits, tick: Callable[[], None]
) -> Iterator[tuple[Task, Ended]]:
    """Run all that is left, and yield each task as it ends; `tick` is called several times a second.

    Raises `StoreUnwritable` if a worker finds that the store takes nothing more.
    """
    waiting, tries = deque(left.ready), Tries(limits.retries)
    running: dict[concurrent.futures.Future[str], Task] = {}
    began: dict[concurrent.futures.Future[str], float] = {}
    while waiting or running:
        while waiting and len(running) < pool.capacity:
            task = waiting.popleft()
            future = pool.submit(_work(task, limits), setting)
            running[future], began[future] = task, time.perf_counter()
        finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
        pool.watch()
        tick()
        for future in finished:
            task = running.pop(future)
            ended = _ended(future, _limit(task, limits), limits.memory, time.perf_counter() - began.pop(future))
            if ended.failure and left.finished(task):
                ended = Ended("ok", recorded=True)
            if len(task.cells) > 1 and ended.status not in FINAL:
                parts = [replace(task, cells=(cell,)) for cell in left.unfinished(task)]
                waiting += parts
                yield task, Ended(ended.status, ended.reason, parts=len(parts))
                continue
            if tries.allow_another(task, ended):
                waiting.appendleft(task)  # Its process is a new one: nothing that others have left is in its way.
                continue
            yield task, _counted(ended, tries.of[task.key])
            runnable, lost = left.after(task, ended.status == "ok")
            waiting += runnable
            for follower in lost:
                yield follower, Ended("skipped", lost=True)


class Tries:
    """Which tasks have died by chance, how often, and whether they deserve another try."""

    MOST_INNOCENT = 3
    """Tries that are not counted, of one task."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self.of: Counter[str] = Counter()
        self._innocent: Counter[str] = Counter()

    def allow_another(self, task: Task, ended: Ended) -> bool:
        """Count a try that has ended like this, and say whether there shall be another."""
        why = ended.failure
        if why is not None and why.innocent and self._innocent[task.key] < self.MOST_INNOCENT:
            self._innocent[task.key] += 1
            return True
        self.of[task.key] += 1
        return why is not None and why.by_chance and self.of[task.key] <= self._retries


def _ended(future: concurrent.futures.Future[str], limit: float, memory: int, seconds: float) -> Ended:
    error = future.exception()
    if error is None:
        return Ended(future.result(), recorded=True)
    if isinstance(error, StoreUnwritable):
        raise error
    why = failure(error, limit, memory)
    return Ended(why.status, why.reason, seconds, failure=why)


def _counted(ended: Ended, tries: int) -> Ended:
    return replace(ended, reason=f"{ended.reason} {tries} times") if ended.failure and tries > 1 else ended


def _work(task: Task, limits: Limits) -> Work:
    function, arguments = _call(task)
    return Work(function, arguments, task.needs, _limit(task, limits))


def _call(task: Task) -> tuple[Callable[..., str], tuple[Any, ...]]:
    """What a worker runs, before its setting."""
    if task.cells:
        return run_attack, (task.cells,)
    return (run_fit, (task.fit,)) if task.chain is None else (run_chain, (task.fit, task.chain))


def _limit(task: Task, limits: Limits) -> float:
    """Seconds that a task may take."""
    return limits.cell * len(task.cells) if task.cells else limits.fit
