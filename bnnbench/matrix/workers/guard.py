"""End what a run has started, whatever becomes of the run: a small process that waits for it to end.

Each worker is born with a mark in its environment, which whatever it starts inherits. A worker that is killed, by a
limit or by the system, leaves its children; a runner that is killed leaves its workers, some in a loop that looks at
nothing. All are found by their marks. This file is run by itself, so it imports nothing of bnnbench.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

MARK = "BNNBENCH_TASK"
"""The variable; its value is `<run>.<worker>`."""
SECONDS = 5.0
"""How long to look for processes that are being born while others are killed."""


class Guard:
    """Watches over one run. Closing it, or the death of this process, ends whatever carries the run's mark."""

    def __init__(self, run: str) -> None:
        # In a session of its own, so that what kills the runner's whole group spares it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, run],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """End what is left of the run, and wait until it has ended."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def end_marked(wanted: Callable[[str], bool]) -> None:
    """Kill every process whose mark is wanted, and those that they have started meanwhile."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        living = list(_marked(wanted))
        if not living:
            return
        for number in living:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.01)


def _marked(wanted: Callable[[str], bool]) -> Iterator[int]:
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK)
            if mark and wanted(mark) and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid


def _wait(until_closed: IO[bytes], run: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    until_closed.read()
    end_marked(lambda mark: mark.partition(".")[0] == run)


if __name__ == "__main__":
    _wait(sys.stdin.buffer, sys.argv[1])
