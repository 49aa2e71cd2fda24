"""End all processes that a run has started when the run ends or is killed, by a small process that waits for that.

Each worker is started with a mark in its environment, which its children inherit. A worker that is killed leaves its
children, and a runner that is killed leaves its workers, some of which may never notice it. All are found by their
marks. The guard keeps the lock of the run's store until they have ended. This file is also run as a script, so it
imports nothing of bnnbench.
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
"""The environment variable of a mark; its value is `<run>.<slot>.<number of the worker>`."""
SECONDS = 5.0
"""The time limit for killing processes: new ones may be started while others are killed."""
LOOKS = 2
"""The looks in a row that must find no process of the run."""
READY = b"."
"""The output of the guard process when it has begun to wait."""


class Guard:
    """The guard of one run. Closing it, or the end of this process, ends every process that has the run's mark.

    `lock` is the descriptor of a lock that the guard keeps until then. Raises `OSError` if the guard cannot start; then
    nothing of it is left.
    """

    def __init__(self, run: str, lock: int | None = None) -> None:
        import psutil

        self._run, self._lock = run, lock
        # It has a session of its own, so that a signal to the runner's whole process group does not reach it. It runs
        # isolated (-I) from the working directory and the environment, and is given the folder of psutil.
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, run, os.path.dirname(os.path.dirname(psutil.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
        assert self._process.stdout
        try:
            if self._process.stdout.read(1) != READY:
                raise ChildProcessError("the process that ends the workers of a run could not start")
        except BaseException:  # Ctrl-C may arrive here too.
            self._process.kill()
            self.close()
            raise

    def renewed(self) -> Guard:
        """This guard, or a new one if its process has been killed."""
        if self._process.poll() is None:
            return self
        self.close()
        return Guard(self._run, self._lock)

    def close(self) -> None:
        """End the processes that are left of the run, and wait until they have ended."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


def end_marked(wanted: Callable[[str], bool]) -> None:
    """Kill every process whose mark is wanted, and those that they start meanwhile.

    It ends after two looks that find none: a process that is just replacing its program has no environment to read.
    """
    until = time.monotonic() + SECONDS
    empty = 0
    while time.monotonic() < until and empty < LOOKS:
        living = [process.pid for process, mark in marked() if wanted(mark)]
        empty = 0 if living else empty + 1
        for number in living:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.01)


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every living process that has a mark, with its mark; this process is left out."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK)
            if mark and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process, mark


def _end_run_after(pipe: IO[bytes], run: str) -> None:
    """Wait until the runner closes a pipe, or ends, and then end the processes of the run."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe.read()
    end_marked(lambda mark: mark.partition(".")[0] == run)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    import psutil

    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    _end_run_after(sys.stdin.buffer, sys.argv[1])
