"""A stopwatch for time limits, which does not count the time in which nothing ran."""

from __future__ import annotations

import time

LONGEST_STEP = 2.0
"""The most seconds that are counted between two looks. The pool is watched several times a second."""


class Stopwatch:
    """Counts seconds from its first `look`, in steps from look to look.

    `time.monotonic` stands still while a machine is suspended (Linux: CLOCK_MONOTONIC; macOS: mach_absolute_time), and
    `time.time` does not. A step is cut at `LONGEST_STEP`, for platforms whose monotonic clock goes on, and for a run
    that was stopped with its workers (Ctrl-Z, a paused container or virtual machine).
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked_at: float | None = None

    def look(self) -> float:
        """The seconds since the first look."""
        now = time.monotonic()
        if self._looked_at is not None:
            self._seconds += min(LONGEST_STEP, now - self._looked_at)
        self._looked_at = now
        return self._seconds
