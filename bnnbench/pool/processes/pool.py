"""A pool of worker processes: one pebble pool for each slot, so that no worker shares a pipe or a lock with another."""

from __future__ import annotations

import contextlib
import os
import pickle
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Self

from bnnbench.pool.job import Job, Setting
from bnnbench.pool.processes.descendants import Descendants
from bnnbench.pool.processes.gpus import Place
from bnnbench.pool.processes.guard import Guard, end_marked, marked
from bnnbench.pool.processes.slot import Slot
from bnnbench.pool.processes.streams import open_standard_descriptors


class ProcessesPool:
    """Runs jobs in spawned workers, each with its own threads and cores; as many jobs at once as there are workers.

    `memory` is the limit in bytes for a worker with all that it has started. `places` are those of the workers on
    GPUs, taken in turn; there are none where they compute on the CPU. `lock` is the descriptor of a lock that is kept
    until all workers have ended, even if this process is killed.

    Use as a context manager. Leaving it kills the workers, with the jobs that are still running, and all processes that
    they have started. So does the end of this process.
    """

    def __init__(
        self, workers: int, *, threads: int, memory: int, lock: int | None = None, places: Sequence[Place] = ()
    ) -> None:
        self.capacity = workers
        self._places = [places[number % len(places)] if places else None for number in range(workers)]
        self._run = uuid.uuid4().hex
        open_standard_descriptors()
        self._guard = Guard(self._run, lock)
        self._descendants = Descendants(memory)
        cores = least_used_cores()
        self._slots = [
            Slot(
                number,
                threads,
                [cores[(number * threads + offset) % len(cores)] for offset in range(threads)],
                self._run,
                place.share if place else None,
            )
            for number, place in enumerate(self._places)
        ]

    def submit(self, job: Job, setting: Setting) -> Future[str]:
        """Run the job in a free worker. Its future holds its status, or an exception that `failures.failure` takes."""
        slot, place = next(pair for pair in zip(self._slots, self._places, strict=True) if pair[0].free)
        if place is not None:
            setting = replace(setting, gpu=place.gpu)
        return slot.submit(pickle.dumps((job.function, (*job.arguments, setting))), job.timeout)

    def watch(self) -> None:
        """Kill the workers that use more memory than they may, and the processes that dead workers have left.

        To be called several times a second.
        """
        self._guard = self._guard.renewed()
        for slot in self._slots:
            slot.watch()
        workers = self._workers()
        for number in self._descendants.look(workers):
            workers[number].kill_for_memory(number)

    def _workers(self) -> dict[int, Slot]:
        """The slot of each living worker, by its process id."""
        return {number: slot for slot in self._slots if (number := slot.worker) is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._descendants.end(self._workers())
        # Workers are killed first: pebble would ask them to stop, and wait seconds for those that do not answer.
        end_marked(lambda mark: mark.partition(".")[0] == self._run)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            slot.join()
        self._guard.close()


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use, sorted."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def least_used_cores() -> list[int]:
    """The numbers of the cores that this process may use, first those that the fewest workers of other runs use."""
    import psutil

    workers: Counter[int] = Counter()
    for process, _ in marked() if hasattr(os, "sched_getaffinity") else ():
        with contextlib.suppress(psutil.Error):
            workers.update(process.cpu_affinity())
    return sorted(usable_cores(), key=workers.__getitem__)
