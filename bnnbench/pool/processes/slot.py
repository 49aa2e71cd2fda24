"""A slot of a pool: one worker process at a time, on the same cores, replaced when it dies."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from typing import TYPE_CHECKING, Any

from bnnbench.errors import BnnbenchError
from bnnbench.pool.failures import MemoryExceeded, MemoryInherited, NeverBegan, Raised, TimeExceeded, WorkerDied
from bnnbench.pool.processes import bootstrap
from bnnbench.pool.processes.guard import end_marked
from bnnbench.pool.processes.spawning import MarkedContext, Worker
from bnnbench.pool.processes.stopwatch import Stopwatch

if TYPE_CHECKING:
    from pebble import ProcessPool

HINTS = {
    "exit code 1": "; what ended it may have said why on standard error",  # XLA, for an unknown flag in XLA_FLAGS.
    "SIGABRT": "; a library aborted it, and has said why on standard error",
    "SIGKILL": "; is the computer out of memory?",
}
"""What is added to the name of the signal, or to the exit code, with which a worker has ended."""
BREAKING_SECONDS = 1.0
"""The time that a broken pool is given to fail the jobs that it knows of."""


class Slot:
    """Runs one job at a time in a worker process, on the same cores; a worker that dies is replaced.

    `number` is that of the slot, `threads` and `cores` are those of its workers, `run` identifies the run, and `share`
    is the share of a GPU's memory that its workers may have, or None.
    """

    def __init__(self, number: int, threads: int, cores: Sequence[int], run: str, share: float | None = None) -> None:
        self._starting = threads, cores, share
        """What `bootstrap.start` gets."""
        self._context = MarkedContext(f"{run}.{number}")
        self._pool: ProcessPool | None = None
        self._job: Future[Any] | None = None
        """The future of the last job, as the caller knows it."""
        self._running: Future[Any] = Future()
        """The future of the same job, as pebble knows it."""
        self._limit = 0.0
        """The time limit of that job, in seconds."""
        self._stopwatch = Stopwatch()
        """The time that the job has taken."""
        self._killed_for: dict[int | None, type[Exception]] = {}
        """The limits for which workers were killed, by the process ids of these workers."""
        self._broken_since: float | None = None
        self._jobs_done: Counter[int | None] = Counter()
        """The number of jobs that each worker has done, by its process id."""

    @property
    def free(self) -> bool:
        """Whether the slot has no job that is running."""
        return self._job is None or self._job.done()

    @property
    def worker(self) -> int | None:
        """The id of the worker's process; None if none was started."""
        worker = self._context.worker
        return None if worker is None else worker.pid

    def submit(self, payload: bytes, timeout: float) -> Future[Any]:
        """Run the job that a payload of `bootstrap.perform` describes; `timeout` is in seconds.

        Its future holds the result of the job, or an exception that `failures.failure` takes.
        """
        job: Future[Any] = Future()
        self._job, self._limit, self._stopwatch = job, timeout, Stopwatch()
        try:
            running = self._schedule(payload)
        except RuntimeError:  # The pool broke while its worker was idle.
            self._replace()
            running = self._schedule(payload)
        self._running = running
        running.add_done_callback(lambda finished: self._pass_on(finished, job))
        return job

    def watch(self) -> None:
        """Kill the worker if its job takes longer than it may; fail the job if pebble does not notice that it ended.

        Pebble's own time limits are not used: they would count the time in which the machine is suspended.
        """
        if self.free:
            return
        # Until the worker has begun the job, it is still starting.
        if self._running.running() and self._stopwatch.look() > self._limit:
            self._kill(self._context.worker, TimeExceeded)
        if not self._pool_is_usable():
            self._fail("it was lost with its pool")
        elif self._context.ended_with_code_zero():
            # For pebble, a job that calls `os._exit(0)` looks like a worker that was asked to end.
            self._fail(_how_it_ended(0))

    def kill_for_memory(self, number: int) -> None:
        """Kill the worker with this process id, because it uses more memory than it may."""
        worker = self._context.worker
        if not self.free and worker is not None and worker.pid == number:
            self._kill(worker, MemoryInherited if self._jobs_done[number] else MemoryExceeded)

    def _kill(self, worker: Worker | None, limit: type[Exception]) -> None:
        if worker is not None:
            self._killed_for.setdefault(worker.pid, limit)
            worker.kill()

    def stop(self) -> None:
        """Ask the worker to end; `join` waits for that."""
        if self._pool is not None:
            self._pool.stop()

    def join(self) -> None:
        """Wait until the worker has ended."""
        if self._pool is not None:
            self._pool.join()

    def _pool_is_usable(self) -> bool:
        """Whether pebble's pool can still end its job.

        A pool that breaks fails the jobs that it knows of, but loses one that is being handed to it at that moment. So
        a broken pool counts as usable for `BREAKING_SECONDS`.
        """
        if self._pool is not None and self._pool.active:
            self._broken_since = None
            return True
        now = time.monotonic()
        self._broken_since = self._broken_since or now
        return now - self._broken_since < BREAKING_SECONDS

    def _fail(self, reason: str) -> None:
        """Replace the worker, and fail its job unless pebble has done so."""
        self._replace()
        if self._job is not None and not self._job.done():
            self._job.set_exception(WorkerDied(reason))

    def _replace(self) -> None:
        """End the worker, its pool and its children; the next job gets new ones."""
        self._running.cancel()
        self.stop()
        self.join()
        end_marked(self._context.marks_of_the_dead().__contains__)
        self._pool, self._broken_since = None, None

    def _schedule(self, payload: bytes) -> Future[Any]:
        from pebble import ProcessPool

        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                context=self._context,
                initializer=bootstrap.start,
                initargs=self._starting,
            )
        return self._pool.schedule(bootstrap.perform, args=(payload,))

    def _pass_on(self, finished: Future[Any], job: Future[Any]) -> None:
        """Pass the result of pebble's future on to the caller's; the children of a dead worker are ended first."""
        if finished.cancelled():
            return  # `_fail` cancelled it, and fails the job itself.
        error = finished.exception()
        if error is None:
            self._jobs_done[self.worker] += 1
            job.set_result(finished.result())
            return
        error = self._translated(error)
        try:
            if not isinstance(error, Raised | BnnbenchError):
                end_marked(self._context.marks_of_the_dead().__contains__)
        finally:
            if not job.done():
                job.set_exception(error)

    def _translated(self, error: BaseException) -> BaseException:
        """The exception of pebble's future as one of `failures`; one of the job itself is returned as it is."""
        from pebble import ProcessExpired

        if isinstance(error, ProcessExpired):
            limit = self._killed_for.pop(error.pid, None)
            return limit() if limit else WorkerDied(_how_it_ended(error.exitcode))
        return NeverBegan() if isinstance(error, BrokenExecutor) else error


def _how_it_ended(code: int | None) -> str:
    """The signal or the exit code that ended a process, in words."""
    name = f"exit code {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
    return name + HINTS.get(name, "")
