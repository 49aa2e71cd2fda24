"""Start worker processes: with a mark that their children inherit, and without the main module of the parent."""

from __future__ import annotations

import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from bnnbench.pool.processes.guard import MARK

_STARTING = threading.Lock()
_QUIET = "ignore:resource_tracker"
"""A filter of warnings whose text begins with `resource_tracker`."""


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for the processes that are started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class Worker(SpawnProcess):
    """A spawned process with a mark.

    It does not run the parent's main module again, so no script needs a main guard.
    """

    marked_context: MarkedContext

    @staticmethod
    def _Popen(process: Any) -> Any:
        # Slots start their workers in several threads, and the environment and the main module belong to all of them.
        with _STARTING:
            return Worker._started(process)

    @staticmethod
    def _started(process: Any) -> Any:
        # The program shares this tracker with other users of multiprocessing, so it is started without a mark. After a
        # run that was killed it would warn of the semaphores that it has removed.
        with _variable("PYTHONWARNINGS", ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _QUIET]))):
            multiprocessing.resource_tracker.ensure_running()
        context = vars(process).pop("marked_context")  # The other attributes are pickled for the child.
        main = sys.modules.get("__main__")
        sys.modules["__main__"] = types.ModuleType("__main__")
        mark = context.next_mark()
        # Ctrl-C reaches the whole process group; the run ends its workers. A signal that is blocked here is blocked in
        # the child from its start.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _variable(MARK, mark):
                started = SpawnProcess._Popen(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            if main is not None:
                sys.modules["__main__"] = main
        context.workers[mark] = process
        return started


class MarkedContext(SpawnContext):
    """Makes the worker processes of one slot, and keeps them by their marks, which begin with `mark`."""

    def __init__(self, mark: str) -> None:
        self._mark, self._count = mark, 0
        self.workers: dict[str, Worker] = {}

    def Process(self, *arguments: Any, **options: Any) -> Worker:  # type: ignore[override]
        """A worker process, not started yet."""
        process = Worker(*arguments, **options)
        process.marked_context = self
        return process

    def next_mark(self) -> str:
        """A mark for the next worker."""
        self._count += 1
        return f"{self._mark}.{self._count}"

    @property
    def worker(self) -> Worker | None:
        """The worker that was started last; None if there is none."""
        return list(self.workers.values())[-1] if self.workers else None

    def ended_with_code_zero(self) -> bool:
        """Whether a worker has ended with exit code 0, though it was not asked to end."""
        return any(process.exitcode == 0 for process in list(self.workers.values()))

    def marks_of_the_dead(self) -> set[str]:
        """The marks of the workers that have died since the last call; these workers are forgotten."""
        dead = {mark for mark, process in list(self.workers.items()) if not process.is_alive()}
        for mark in dead:
            del self.workers[mark]
        return dead
