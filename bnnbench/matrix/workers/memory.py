"""The memory of workers, seen from outside: a thread within one sees nothing while C code holds the interpreter."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Collection

SHARE = 0.05
"""The most of the runner's time that looking may take: where thousands of processes live, one look takes long."""


class MemoryWatch:
    """Finds the workers that have outgrown a limit, in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._next = limit, 0.0

    def outgrown(self, workers: Collection[int]) -> list[int]:
        """Those of these processes that use more than the limit, with all that they have started; none where it is too
        early to look again."""
        began = time.monotonic()
        if not workers or began < self._next:
            return []
        found = [worker for worker, size in _resident(workers).items() if size > self._limit]
        self._next = began + (time.monotonic() - began) / SHARE
        return found


def _resident(workers: Collection[int]) -> Counter[int]:
    """Resident bytes of each process and its descendants, by one pass over all the processes that there are."""
    import psutil

    living, parents = {}, {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            living[process.pid], parents[process.pid] = process, process.ppid()
    found: Counter[int] = Counter()
    for number, process in living.items():
        ancestor: int | None = number
        for _ in living:  # Numbers are given anew while others are read: a circle is possible, and must end.
            if ancestor is None or ancestor in workers:
                break
            ancestor = parents.get(ancestor)
        if ancestor is not None and ancestor in workers:
            with contextlib.suppress(psutil.Error):
                found[ancestor] += process.memory_info().rss
    return found
