"""Worker processes: pebble's pool, where a time limit kills and a crash fails one task alone."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from bnnbench.matrix import bootstrap


class LocalPool:
    """A pool of spawned workers, each with its own threads and cores.

    Use as a context manager. Leaving it because of an exception, Ctrl-C included, kills what is running.
    """

    def __init__(self, workers: int, *, threads: int, memory: int) -> None:
        from pebble import ProcessPool

        self._slots = tempfile.TemporaryDirectory(prefix="bnnbench-")
        self._pool = ProcessPool(
            max_workers=workers,
            context=_Context(),
            initializer=bootstrap.start,
            initargs=(threads, memory, self._slots.name),
        )

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future[Any]:
        """Run a function of an importable module; the future fails with `TimeoutError` or `WorkerDied`."""
        return self._pool.schedule(function, args=arguments, timeout=timeout)

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()
        self._slots.cleanup()


def failure(error: BaseException, seconds: float) -> tuple[str, str]:
    """The status and the reason of a task that did not end by itself."""
    from pebble import ProcessExpired

    if isinstance(error, TimeoutError):
        return "timeout", f"stopped after its limit of {seconds:g} s"
    if isinstance(error, ProcessExpired):
        if error.exitcode == bootstrap.OUT_OF_MEMORY:
            return "failed", "its process used more memory than limits.memory"
        return "failed", f"its process died (exit code {error.exitcode})"
    return "failed", f"{type(error).__name__}: {error}"


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process(SpawnProcess):
    """A spawned process that does not run the parent's main module again, so that no script needs a main guard."""

    @staticmethod
    def _Popen(process: Any) -> Any:
        main = sys.modules.get("__main__")
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process)
        finally:
            if main is not None:
                sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process
