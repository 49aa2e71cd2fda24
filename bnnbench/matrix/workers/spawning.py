"""How worker processes are born: with a mark that all they start inherits, and without the parent's main module."""

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

from bnnbench.matrix.workers.guard import MARK

_BIRTHS = threading.Lock()


_QUIET = "ignore:resource_tracker"
"""A filter for warnings that begin so."""


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for what is started meanwhile."""
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
    """A spawned process with a mark, that does not run the parent's main module again: no script needs a main guard."""

    home: MarkedContext

    @staticmethod
    def _Popen(process: Any) -> Any:
        # The environment and the main module are the whole program's, and slots replace their workers in threads.
        with _BIRTHS:
            return Worker._born(process)

    @staticmethod
    def _born(process: Any) -> Any:
        # Whoever else uses multiprocessing in this program shares its tracker, which therefore bears no mark.
        # After a run that was killed it would tell of semaphores that it has tidied up.
        with _variable("PYTHONWARNINGS", ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _QUIET]))):
            multiprocessing.resource_tracker.ensure_running()
        home = vars(process).pop("home")  # What is left of the process is pickled for the child.
        main = sys.modules.get("__main__")
        sys.modules["__main__"] = types.ModuleType("__main__")
        mark = home.next_mark()
        # Ctrl-C reaches the whole group; the runner decides. What is blocked here is blocked in the child from birth.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _variable(MARK, mark):
                born = SpawnProcess._Popen(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            if main is not None:
                sys.modules["__main__"] = main
        home.workers[mark] = process
        return born


class MarkedContext(SpawnContext):
    """Makes the processes of one slot, and knows them by their marks."""

    def __init__(self, mark: str) -> None:
        self._mark, self._count = mark, 0
        self.workers: dict[str, Worker] = {}

    def Process(self, *arguments: Any, **options: Any) -> Worker:  # type: ignore[override]
        process = Worker(*arguments, **options)
        process.home = self
        return process

    def next_mark(self) -> str:
        self._count += 1
        return f"{self._mark}.{self._count}"

    @property
    def worker(self) -> Worker | None:
        """The process that works now."""
        return list(self.workers.values())[-1] if self.workers else None

    def left_quietly(self) -> bool:
        """Whether a worker has ended as if all were well, though nobody has asked it to."""
        return any(process.exitcode == 0 for process in list(self.workers.values()))

    def marks_of_the_dead(self) -> set[str]:
        """Marks of workers that have died since this was last asked."""
        gone = {mark for mark, process in list(self.workers.items()) if not process.is_alive()}
        for mark in gone:
            del self.workers[mark]
        return gone
