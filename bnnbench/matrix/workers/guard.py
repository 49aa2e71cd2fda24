"""End what a run has started, whatever becomes of the run: a small process that waits for it to end.

Each worker is born with a mark in its environment, which whatever it starts inherits. A worker that is killed, by a
limit or by the system, leaves its children; a runner that is killed leaves its workers, some in a loop that looks at
nothing. All are found by their marks. The guard keeps the lock of the run's store until they have ended. This file is
run by itself, so it imports nothing of bnnbench.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "BNNBENCH_TASK"
"""The variable; its value is `<run>.<worker>`."""
SECONDS = 5.0
"""How long to look for processes that are being born while others are killed."""
READY = b"."
"""What the guard says when it watches."""


class Guard:
    """Watches over one run. Closing it, or the death of this process, ends whatever carries the run's mark.

    `lock` is the descriptor of a lock to keep until then. Raises `OSError` if there can be no guard.
    """

    def __init__(self, run: str, lock: int | None = None) -> None:
        import psutil

        self._run, self._lock = run, lock
        # In a session of its own, so that what kills the runner's whole group spares it; isolated from where it starts,
        # and told where the one library is that it needs.
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, run, os.path.dirname(os.path.dirname(psutil.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
        assert self._process.stdout
        if self._process.stdout.read(1) != READY:
            raise ChildProcessError("the process that ends what a run leaves could not start")

    def renewed(self) -> Guard:
        """This guard, or another one in its place if it has been killed."""
        return self if self._process.poll() is None else Guard(self._run, self._lock)

    def close(self) -> None:
        """End what is left of the run, and wait until it has ended."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


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
    return (process.pid for process, mark in marked() if wanted(mark))


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every living process that has a mark, but this one, and its mark."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK)
            if mark and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process, mark


def _wait(until_closed: IO[bytes], run: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    until_closed.read()
    end_marked(lambda mark: mark.partition(".")[0] == run)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    import psutil

    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    _wait(sys.stdin.buffer, sys.argv[1])
