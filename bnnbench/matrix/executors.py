"""Worker processes: one of pebble's pools for each slot, so that no worker shares a pipe or a lock with another."""

from __future__ import annotations

import contextlib
import os
import pickle
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.matrix.workers.families import Families
from bnnbench.matrix.workers.guard import Guard, end_marked, marked
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

    `lock` is the descriptor of a lock that is kept until all of them have ended, even if this process is killed.

    Use as a context manager. Leaving it because of an exception, Ctrl-C included, kills what is running; leaving it in
    any way ends whatever the workers have started. So does the death of this process.
    """

    def __init__(self, workers: int, *, threads: int, memory: int, lock: int | None = None) -> None:
        self.capacity = workers
        self._run = uuid.uuid4().hex
        self._guard = Guard(self._run, lock)
        self._families = Families(memory)
        cores = quiet_cores()
        self._slots = [
            Slot(
                number,
                threads,
                [cores[(number * threads + offset) % len(cores)] for offset in range(threads)],
                self._run,
            )
            for number in range(workers)
        ]

    def submit(self, work: Work, setting: Setting) -> Future[str]:
        """Do the work in a free worker.

        The future fails with what `failures.failure` takes.
        """
        slot = next(slot for slot in self._slots if slot.free)
        return slot.submit(pickle.dumps((work.function, (*work.arguments, setting))), work.timeout)

    def watch(self) -> None:
        """Kill workers that have outgrown their memory, children included, and what workers that are gone have left; to
        be called several times a second."""
        self._guard = self._guard.renewed()
        for slot in self._slots:
            slot.watch()
        workers = self._workers()
        for number in self._families.look(workers):
            workers[number].kill_outgrown(number)

    def _workers(self) -> dict[int, Slot]:
        return {number: slot for slot in self._slots if (number := slot.worker) is not None}

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._families.end(self._workers())
        # Killed before they are asked to stop: pebble asks first, and waits seconds for who does not listen.
        end_marked(lambda mark: mark.partition(".")[0] == self._run)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            slot.join()
        self._guard.close()


def local_pool(plan: Plan, jobs: int | None, tasks: int, lock: int | None = None) -> LocalPool:
    """Workers for so many tasks of a plan: `jobs`, or as many as fill the usable cores at its threads each."""
    settings = plan.config.settings
    workers = jobs or max(1, len(usable_cores()) // settings.threads)
    return LocalPool(min(workers, tasks), threads=settings.threads, memory=settings.limits.memory, lock=lock)


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def quiet_cores() -> list[int]:
    """The same, first those that fewest workers of other runs are bound to."""
    import psutil

    taken: Counter[int] = Counter()
    for process, _ in marked() if hasattr(os, "sched_getaffinity") else ():
        with contextlib.suppress(psutil.Error):
            taken.update(process.cpu_affinity())
    return sorted(usable_cores(), key=taken.__getitem__)
