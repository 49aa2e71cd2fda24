"""Find the processes that workers have started, and measure their memory, from outside of the workers.

A thread within a worker could not do it: it does not run while C code holds the interpreter.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

SHARE = 0.05
"""The share of the runner's time that looking takes, unless the pause would be longer than `LONGEST_PAUSE`."""
LONGEST_PAUSE = 1.0
"""The longest pause in seconds between two looks: with thousands of processes looking takes a larger share."""


class Descendants:
    """The processes that workers have started, remembered from look to look, and a memory limit in bytes.

    Processes that hide their mark (see `guard`) are among them, because they are found by their parents.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._next_look = limit, 0.0
        self._known: defaultdict[int, set[Process]] = defaultdict(set)
        """The descendants of each worker, by its process id."""

    def look(self, workers: Collection[int]) -> list[int]:
        """The ids of the workers that use more memory than the limit, together with all that they have started.

        `workers` are the process ids of the living workers. The descendants of other, earlier workers are ended. Does
        nothing and returns no ids if the last look was too short a time ago.
        """
        began = time.monotonic()
        if began < self._next_look:
            return []
        for worker in self._known.keys() - set(workers):
            _end(self._known.pop(worker))
        resident = self._resident(workers)
        ended = time.monotonic()
        self._next_look = ended + pause_after(ended - began)
        return [worker for worker, size in resident.items() if size > self._limit]

    def end(self, workers: Collection[int]) -> None:
        """Look once more, and end all that these workers and earlier ones have started."""
        self._resident(workers)
        while self._known:
            _end(self._known.popitem()[1])

    def _resident(self, workers: Collection[int]) -> Counter[int]:
        """Resident bytes of each worker with its descendants, by one pass over all the processes of the computer."""
        import psutil

        living, parents = {}, {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                living[process.pid], parents[process.pid] = process, process.ppid()
        resident: Counter[int] = Counter()
        for process in living.values():
            worker = _ancestor(process.pid, parents, workers)
            if worker is None:
                continue
            if worker != process.pid:
                self._known[worker].add(process)
            with contextlib.suppress(psutil.Error):
                resident[worker] += process.memory_info().rss
        return resident


def pause_after(seconds: float) -> float:
    """The pause in seconds after a look that took so many seconds."""
    return min(LONGEST_PAUSE, seconds * (1 / SHARE - 1))


def _ancestor(number: int, parents: dict[int, int], workers: Collection[int]) -> int | None:
    """The worker that a process is, or descends from; None if there is none."""
    for _ in parents:  # Ids are reused while others are read, so the parents may form a circle, and this must end.
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
            process.kill()  # psutil does not kill another process that has been given the same id since.
