"""Worker processes: one of pebble's pools for each slot, so that no worker shares a pipe or a lock with another."""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.matrix.workers.guard import Guard, end_marked
from bnnbench.matrix.workers.memory import MemoryWatch
from bnnbench.matrix.workers.slot import Slot

if TYPE_CHECKING:
    from bnnbench.matrix.plan import Plan
    from bnnbench.matrix.work import Setting


@dataclass(frozen=True)
class Work:
    """A function of an importable module that reads some records of a store and writes others: it is called with the
    arguments and a setting, and returns the status that it recorded. `needs` is the (kind, key) of what it reads."""

    function: Callable[..., str]
    arguments: tuple[Any, ...]
    needs: tuple[tuple[str, str], ...]
    timeout: float


class LocalPool:
    """Spawned workers, each with its own threads and cores; as many tasks at once as there are workers.

    Use as a context manager. Leaving it because of an exception, Ctrl-C included, kills what is running; leaving it in
    any way ends whatever the workers have started. So does the death of this process.
    """

    def __init__(self, workers: int, *, threads: int, memory: int) -> None:
        self.capacity = workers
        self._run = uuid.uuid4().hex
        self._guard = Guard(self._run)
        self._memory = MemoryWatch(memory)
        self._slots = [Slot(number, threads, self._run) for number in range(workers)]

    def submit(self, work: Work, setting: Setting) -> Future[str]:
        """Do the work in a free worker.

        The future fails with `LimitMet`, `WorkerDied`, `MemoryExceeded`, or what the function raises.
        """
        slot = next(slot for slot in self._slots if slot.free)
        return slot.submit(pickle.dumps((work.function, (*work.arguments, setting))), work.timeout)

    def watch(self) -> None:
        """Kill workers that have outgrown their memory, children included; to be called several times a second."""
        for slot in self._slots:
            slot.watch()
        workers = {number: slot for slot in self._slots if (number := slot.at_work) is not None}
        for number in self._memory.outgrown(workers):
            workers[number].kill_outgrown(number)

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Killed before they are asked to stop: pebble asks first, and waits seconds for who does not listen.
        end_marked(lambda mark: mark.partition(".")[0] == self._run)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            slot.join()
        self._guard.close()


def local_pool(plan: Plan, jobs: int | None, tasks: int) -> LocalPool:
    """Workers for so many tasks of a plan: `jobs`, or as many as fill the usable cores at its threads each."""
    settings = plan.config.settings
    workers = jobs or max(1, usable_cores() // settings.threads)
    return LocalPool(min(workers, tasks), threads=settings.threads, memory=settings.limits.memory)


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
