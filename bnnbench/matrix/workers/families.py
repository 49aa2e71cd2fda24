"""What workers have started, and the memory of all that: seen from outside, for a thread within a worker sees nothing
while C code holds the interpreter."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

SHARE = 0.05
"""The most of the runner's time that looking may take: where thousands of processes live, one look takes long."""
LONGEST = 1.0
"""Seconds between two looks at the most."""


class Families:
    """The descendants of workers, as far as they were ever seen: those that hide their marks among them."""

    def __init__(self, limit: int) -> None:
        self._limit, self._next = limit, 0.0
        self._known: defaultdict[int, set[Process]] = defaultdict(set)

    def look(self, workers: Collection[int]) -> list[int]:
        """End what workers have left that are gone, and return those that use more memory than the limit, in bytes,
        with all that they have started. Nothing happens where it is too early to look again."""
        began = time.monotonic()
        if began < self._next:
            return []
        for worker in self._known.keys() - set(workers):
            _end(self._known.pop(worker))
        resident = self._resident(workers)
        self._next = began + min(LONGEST, (time.monotonic() - began) / SHARE)
        return [worker for worker, size in resident.items() if size > self._limit]

    def end(self, workers: Collection[int]) -> None:
        """Look once more, and end all that these workers and earlier ones have started."""
        self._resident(workers)
        while self._known:
            _end(self._known.popitem()[1])

    def _resident(self, workers: Collection[int]) -> Counter[int]:
        """Resident bytes of each worker and its descendants, by one pass over all the processes that there are."""
        import psutil

        living, parents = {}, {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                living[process.pid], parents[process.pid] = process, process.ppid()
        found: Counter[int] = Counter()
        for process in living.values():
            worker = _ancestor(process.pid, parents, workers)
            if worker is None:
                continue
            if worker != process.pid:
                self._known[worker].add(process)
            with contextlib.suppress(psutil.Error):
                found[worker] += process.memory_info().rss
        return found


def _ancestor(number: int, parents: dict[int, int], workers: Collection[int]) -> int | None:
    """The worker that a process descends from, or is."""
    for _ in parents:  # Numbers are given anew while others are read: a circle is possible, and must end.
        if number in workers:
            return number
        if number not in parents:
            return None
        number = parents[number]
    return None


def _end(processes: set[Process]) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil knows it from another one that has been given its number since.
