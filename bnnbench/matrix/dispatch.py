"""Hand out the tasks of a schedule, as many at once as there are places, and again to those who died by chance."""

from __future__ import annotations

import concurrent.futures
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bnnbench.matrix.attack_task import run_attack
from bnnbench.matrix.executors import Work
from bnnbench.matrix.fit_task import run_chain, run_fit
from bnnbench.matrix.schedule import Task
from bnnbench.matrix.settings import Limits
from bnnbench.matrix.work import Setting
from bnnbench.matrix.workers.failures import failure


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


@dataclass(frozen=True)
class Ended:
    """What became of a task. It has recorded that itself, or not; or was lost with one that it waited for."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    recorded: bool = False
    lost: bool = False


def dispatched(
    left: Left, pool: Pool, setting: Setting, limits: Limits, tick: Callable[[], None]
) -> Iterator[tuple[Task, Ended]]:
    """Run all that is left, and yield each task as it ends; `tick` is called several times a second."""
    waiting, tries = deque(left.ready), Counter[str]()
    running: dict[concurrent.futures.Future[str], Task] = {}
    while waiting or running:
        while waiting and len(running) < pool.capacity:
            task = waiting.popleft()
            tries[task.key] += 1
            running[pool.submit(_work(task, limits), setting)] = task
        finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
        pool.watch()
        tick()
        for future in finished:
            task = running.pop(future)
            ended = _ended(task, future, _limit(task, limits), tries[task.key], limits.retries)
            if ended is None:
                waiting.append(task)
                continue
            yield task, ended
            runnable, lost = left.after(task, ended.status == "ok")
            waiting += runnable
            for follower in lost:
                yield follower, Ended("skipped", lost=True)


def _ended(task: Task, future: concurrent.futures.Future[str], limit: float, tries: int, retries: int) -> Ended | None:
    """What became of a task; None if it deserves another try."""
    error = future.exception()
    if error is None:
        return Ended(future.result(), recorded=True)
    why = failure(error, limit)
    if why.by_chance and tries <= retries:
        return None
    reason = why.reason + (f" {tries} times" if tries > 1 else "")
    return Ended(why.status, reason, limit if why.status == "timeout" else 0.0)


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
