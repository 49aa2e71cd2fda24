"""Start worker processes: with a mark that their children inherit, and without the main module of the parent.

A host may use other threads while a worker is started. So the environment, the working directory and the
standard streams of this process stay as they are. Two things are changed for a moment. Nothing but the start of a
process reads them, so they can only reach a process that the host starts at that moment, and do no harm there:
`sys.warnoptions` has one more filter (`_start_tracker`), and this process does not count as a daemonic one
(`Worker.start`).
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import context, popen_spawn_posix, reduction, resource_tracker, spawn, util
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from bnnbench.pool.processes.guard import MARK

_STARTING = threading.RLock()
_QUIET = "ignore:resource_tracker"
"""A filter of warnings whose text begins with `resource_tracker`."""


class _Spawned(popen_spawn_posix.Popen):
    """A process of multiprocessing that is spawned with a mark in its environment.

    multiprocessing itself starts processes in the environment of this process, which would have to be changed for that.
    """

    _child: subprocess.Popen[bytes]
    _fds: list[int]
    """Descriptors that the pickled object needs; `reduction.dump` adds them."""

    def __init__(self, process: Any, mark: str) -> None:
        self._mark = mark
        super().__init__(process)

    def _launch(self, process: Any) -> None:
        """Start the process, and send it the object that it runs: as in multiprocessing, except for the environment."""
        content = self._pickled(process)
        tracker = resource_tracker.getfd()
        assert tracker is not None
        theirs, ours = os.pipe()
        self.sentinel, end = os.pipe()
        self.finalizer = util.Finalize(self, _close, (self.sentinel, ours))
        try:
            self._child = subprocess.Popen(
                spawn.get_command_line(tracker_fd=tracker, pipe_handle=theirs),
                executable=spawn.get_executable(),
                env={**os.environ, MARK: self._mark},
                pass_fds=[*self._fds, tracker, theirs, end],
                restore_signals=False,
            )
        finally:
            os.close(theirs)
            os.close(end)
        self.pid = self._child.pid
        with open(ours, "wb", closefd=False) as pipe:
            pipe.write(content)

    def _pickled(self, process: Any) -> bytes:
        """What the process reads when it starts: how it is prepared, and the object that it runs."""
        # Without these two it does not run the main module of the parent, so no script needs a main guard.
        preparation = spawn.get_preparation_data(process.name)
        preparation.pop("init_main_from_name", None)
        preparation.pop("init_main_from_path", None)
        preparation.pop("dir", None)  # It is inherited, even if this process may not enter it any more.
        buffer = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, buffer)
            reduction.dump(process, buffer)
        finally:
            context.set_spawning_popen(None)
        return buffer.getvalue()

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code of the process, or None while it runs; waits for its end if `flag` is 0."""
        if self.returncode is None:
            self.returncode = self._child.poll() if flag else self._child.wait()
        return self.returncode


class Worker(SpawnProcess):
    """A spawned process with a mark. It does not run the parent's main module again."""

    marked_context: MarkedContext

    def start(self) -> None:
        """Start the process.

        A daemonic process of multiprocessing may have no children, because they would outlive it when it is killed.
        Workers have a guard that ends them, so this process counts as another one meanwhile.
        """
        with _STARTING:
            own = multiprocessing.current_process()
            daemonic, own.daemon = own.daemon, False
            try:
                super().start()
            finally:
                own.daemon = daemonic

    @staticmethod
    def _Popen(process: Any) -> Any:
        # Slots start their workers in several threads, and the list of warning filters belongs to all of them.
        with _STARTING:
            return Worker._started(process)

    @staticmethod
    def _started(process: Any) -> Any:
        _start_tracker()
        marked = vars(process).pop("marked_context")  # The other attributes are pickled for the child.
        mark = marked.next_mark()
        # Ctrl-C reaches the whole process group; the run ends its workers. A signal that is blocked here is blocked in
        # the child from its start.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            started = _Spawned(process, mark)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        marked.workers[mark] = process
        return started


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _start_tracker() -> None:
    """Start multiprocessing's process that removes semaphores, unless it runs; without a mark, since the host uses it.

    After a run that was killed it would warn of the semaphores that it has removed. It is given this process's filters
    of warnings, and one more: a list that nothing but the start of processes reads.
    """
    sys.warnoptions.append(_QUIET)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_QUIET)


class OneWorkersLock:
    """A lock that each process has for itself: pebble shares its pipes among workers, and here each pool has one.

    Locks of multiprocessing are semaphores in shared memory, which cannot be made where `/dev/shm` is absent, full or
    read-only, and stay locked when their holder is killed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire the lock, and return whether that succeeded within the time in seconds, if one is given."""
        return self._lock.acquire(block, -1 if timeout is None or not block else timeout)

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __reduce__(self) -> tuple[type[OneWorkersLock], tuple[()]]:
        return OneWorkersLock, ()


class MarkedContext(SpawnContext):
    """Makes the worker processes of one slot, and keeps them by their marks, which begin with `mark`."""

    def __init__(self, mark: str) -> None:
        self._mark, self._count = mark, 0
        self.workers: dict[str, Worker] = {}

    def RLock(self) -> OneWorkersLock:  # type: ignore[override]
        """The lock of pebble's pipes. See `OneWorkersLock`."""
        return OneWorkersLock()

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
