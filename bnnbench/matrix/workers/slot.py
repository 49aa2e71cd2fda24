"""One worker process at a time, on the same cores, replaced when it dies."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from typing import TYPE_CHECKING, Any

from bnnbench.errors import BnnbenchError
from bnnbench.matrix.workers import bootstrap
from bnnbench.matrix.workers.failures import (
    LimitMet,
    MemoryExceeded,
    MemoryInherited,
    NeverBegan,
    Raised,
    WorkerDied,
)
from bnnbench.matrix.workers.guard import end_marked
from bnnbench.matrix.workers.spawning import MarkedContext

if TYPE_CHECKING:
    from pebble import ProcessPool


class Slot:
    """One worker at a time, on the same cores, replaced when it dies."""

    def __init__(self, number: int, threads: int, cores: Sequence[int], run: str) -> None:
        self._threads, self._cores = threads, cores
        self._context = MarkedContext(f"{run}.{number}")
        self._pool: ProcessPool | None = None
        self._task: Future[Any] | None = None
        self._running: Future[Any] = Future()
        self._outgrown: set[int | None] = set()
        self._broken_since: float | None = None
        self._done: Counter[int | None] = Counter()
        """How many tasks each worker has done, by its number."""

    @property
    def free(self) -> bool:
        return self._task is None or self._task.done()

    def submit(self, payload: bytes, timeout: float) -> Future[Any]:
        told: Future[Any] = Future()
        self._task = told
        try:
            running = self._schedule(payload, timeout)
        except RuntimeError:  # The pool broke while its worker was idle.
            self._replace()
            running = self._schedule(payload, timeout)
        self._running = running
        running.add_done_callback(lambda ended: self._tell(ended, told))
        return told

    @property
    def worker(self) -> int | None:
        """The number of its process."""
        worker = self._context.worker
        return None if worker is None else worker.pid

    def watch(self) -> None:
        """Notice a task whose process is gone without a word."""
        if self.free:
            return
        if not self._lives():
            self._give_up("it was lost with its pool")
        elif self._context.left_quietly():
            # A task that calls `os._exit(0)` looks to pebble like a worker that has done its work.
            self._give_up(_how(0))

    def kill_outgrown(self, number: int) -> None:
        """Kill the process of this number, for it uses more memory than it may."""
        worker = self._context.worker
        if not self.free and worker is not None and worker.pid == number:
            self._outgrown.add(number)
            worker.kill()

    def _lives(self) -> bool:
        """Whether the pool can still end its task. One that breaks fails the tasks that it knows of, and loses one that
        is just being handed to it: it is given a second to do the former."""
        if self._pool is not None and self._pool.active:
            self._broken_since = None
            return True
        now = time.monotonic()
        self._broken_since = self._broken_since or now
        return now - self._broken_since < 1

    def _give_up(self, why: str) -> None:
        self._replace()
        if self._task is not None and not self._task.done():
            self._task.set_exception(WorkerDied(why))

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()

    def join(self) -> None:
        if self._pool is not None:
            self._pool.join()

    def _replace(self) -> None:
        self._running.cancel()
        self.stop()
        self.join()
        end_marked(self._context.marks_of_the_dead().__contains__)
        self._pool, self._broken_since = None, None

    def _schedule(self, payload: bytes, timeout: float) -> Future[Any]:
        from pebble import ProcessPool

        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                context=self._context,
                initializer=bootstrap.start,
                initargs=(self._threads, self._cores),
            )
        return self._pool.schedule(bootstrap.perform, args=(payload,), timeout=timeout)

    def _tell(self, ended: Future[Any], told: Future[Any]) -> None:
        """Pass on what became of a task; who dies takes along what it has started."""
        from pebble import ProcessExpired

        if ended.cancelled():
            return  # Told by whoever cancelled it.
        error = ended.exception()
        if error is None:
            self._done[self.worker] += 1
            told.set_result(ended.result())
            return
        # A task may raise a TimeoutError of its own, which is another matter.
        late = isinstance(error, TimeoutError) and error.args[:1] == ("Task timeout",)
        if isinstance(error, ProcessExpired):
            error = self._killed(error.pid) if error.pid in self._outgrown else WorkerDied(_how(error.exitcode))
        elif late:
            error = LimitMet()
        elif isinstance(error, BrokenExecutor):
            error = NeverBegan()
        try:
            if not isinstance(error, Raised | BnnbenchError):
                end_marked(self._context.marks_of_the_dead().__contains__)
        finally:
            if not told.done():
                told.set_exception(error)

    def _killed(self, worker: int) -> Exception:
        self._outgrown.discard(worker)
        return MemoryInherited() if self._done[worker] else MemoryExceeded()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"{name}; is the computer out of memory?" if name == "SIGKILL" else name
    return f"exit code {code}"
