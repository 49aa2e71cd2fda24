"""Worker processes: one of pebble's pools for each slot, so that no worker shares a pipe or a lock with another."""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import os
import pickle
import signal
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any

from bnnbench.errors import one_line
from bnnbench.matrix import bootstrap
from bnnbench.matrix.guard import MARK, Guard, end_marked

if TYPE_CHECKING:
    from pebble import ProcessPool

    from bnnbench.matrix.plan import Plan
    from bnnbench.matrix.work import Setting


@dataclass(frozen=True)
class Work:
    """A function of an importable module that reads some records of a store and writes others: it is called with the
    arguments and a setting, and returns the status that it recorded. `needs` is the (kind, key) of what it reads."""

    function: Callable[..., str]
    arguments: tuple[Any, ...]
    needs: tuple[tuple[str, str], ...]
    timeout: float


class WorkerDied(Exception):
    """A worker ended before its task; says how."""


class LimitMet(Exception):
    """A task took longer than it may."""


class MemoryExceeded(Exception):
    """A worker and its children used more memory than a task may."""


class LocalPool:
    """Spawned workers, each with its own threads and cores; as many tasks at once as there are workers.

    Use as a context manager. Leaving it because of an exception, Ctrl-C included, kills what is running; leaving it in
    any way ends whatever the workers have started. So does the death of this process.
    """

    def __init__(self, workers: int, *, threads: int, memory: int) -> None:
        self.capacity = workers
        self._run = uuid.uuid4().hex
        self._guard = Guard(self._run)
        self._memory = memory
        self._slots = [_Slot(number, threads, self._run) for number in range(workers)]

    def submit(self, work: Work, setting: Setting) -> Future[str]:
        """Do the work in a free worker.

        The future fails with `LimitMet`, `WorkerDied`, `MemoryExceeded`, or what the function raises.
        """
        slot = next(slot for slot in self._slots if slot.free)
        return slot.submit(pickle.dumps((work.function, (*work.arguments, setting))), work.timeout)

    def watch(self) -> None:
        """Kill workers that have outgrown their memory, children included; to be called several times a second."""
        for slot in self._slots:
            slot.watch(self._memory)

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Killed before they are asked to stop: pebble asks first, and waits seconds for who does not listen.
        end_marked(lambda mark: mark.partition(".")[0] == self._run)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            slot.join()
        self._guard.close()


@dataclass(frozen=True)
class Failure:
    """What a task that did not end by itself comes to; `by_chance` if another try may well succeed."""

    status: str
    reason: str
    by_chance: bool = False


def failure(error: BaseException, seconds: float) -> Failure:
    """Why a task has no result; `seconds` was its limit."""
    if isinstance(error, LimitMet):
        return Failure("timeout", f"stopped after its limit of {seconds:g} s")
    if isinstance(error, MemoryExceeded):
        return Failure("failed", "its process used more memory than limits.memory")
    if isinstance(error, WorkerDied):
        return Failure("failed", f"its process died ({error})", by_chance=True)
    return Failure("failed", one_line(f"{type(error).__name__}: {error}"))


class _Slot:
    """One worker at a time, on the same cores, replaced when it dies."""

    def __init__(self, number: int, threads: int, run: str) -> None:
        self._number, self._threads = number, threads
        self._context = _Context(f"{run}.{number}")
        self._pool: ProcessPool | None = None
        self._task: Future[Any] | None = None
        self._running: Future[Any] = Future()
        self._outgrown: set[int | None] = set()
        self._broken_since: float | None = None

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

    def watch(self, limit: int) -> None:
        if self.free:
            return
        if not self._lives():
            self._give_up("it was lost with its pool")
        elif self._context.left_quietly():
            # A task that calls `os._exit(0)` looks to pebble like a worker that has done its work.
            self._give_up(_how(0))
        elif (worker := self._context.worker) is not None and _memory(worker.pid) > limit:
            self._outgrown.add(worker.pid)
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
                initargs=(self._threads, self._number),
            )
        return self._pool.schedule(bootstrap.perform, args=(payload,), timeout=timeout)

    def _tell(self, ended: Future[Any], told: Future[Any]) -> None:
        """Pass on what became of a task; who dies takes along what it has started."""
        from pebble import ProcessExpired

        if ended.cancelled():
            return  # Told by whoever cancelled it.
        error = ended.exception()
        if error is None:
            told.set_result(ended.result())
            return
        # A task may raise a TimeoutError of its own, which is another matter.
        late = isinstance(error, TimeoutError) and error.args[:1] == ("Task timeout",)
        if isinstance(error, ProcessExpired):
            error = MemoryExceeded() if error.pid in self._outgrown else WorkerDied(_how(error.exitcode))
        elif late:
            error = LimitMet()
        elif isinstance(error, BrokenExecutor):
            error = WorkerDied("it ended before its task began")
        try:
            if isinstance(error, WorkerDied | MemoryExceeded | LimitMet):
                end_marked(self._context.marks_of_the_dead().__contains__)
        finally:
            if not told.done():
                told.set_exception(error)


def _memory(worker: int | None) -> int:
    """Resident bytes of a process and of what it has started."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(worker)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"{name}; is the computer out of memory?" if name == "SIGKILL" else name
    return f"exit code {code}"


def local_pool(plan: Plan, jobs: int | None, tasks: int) -> LocalPool:
    """Workers for so many tasks of a plan: `jobs`, or as many as fill the usable cores at its threads each."""
    settings = plan.config.settings
    workers = jobs or max(1, usable_cores() // settings.threads)
    return LocalPool(min(workers, tasks), threads=settings.threads, memory=settings.limits.memory)


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_BIRTHS = threading.Lock()


def _restore(mark: str | None) -> None:
    if mark is None:
        del os.environ[MARK]
    else:
        os.environ[MARK] = mark


class _Process(SpawnProcess):
    """A spawned process with a mark, that does not run the parent's main module again: no script needs a main guard."""

    home: _Context

    @staticmethod
    def _Popen(process: Any) -> Any:
        # The environment and the main module are the whole program's, and slots replace their workers in threads.
        with _BIRTHS:
            return _Process._born(process)

    @staticmethod
    def _born(process: Any) -> Any:
        # Whoever else uses multiprocessing in this program shares its tracker, which therefore bears no mark.
        multiprocessing.resource_tracker.ensure_running()
        home = vars(process).pop("home")  # What is left of the process is pickled for the child.
        main = sys.modules.get("__main__")
        sys.modules["__main__"] = types.ModuleType("__main__")
        outer = os.environ.get(MARK)
        os.environ[MARK] = mark = home.next_mark()
        try:
            born = SpawnProcess._Popen(process)
        finally:
            _restore(outer)
            if main is not None:
                sys.modules["__main__"] = main
        home.workers[mark] = process
        return born


class _Context(SpawnContext):
    """Makes the processes of one slot, and knows them by their marks."""

    def __init__(self, mark: str) -> None:
        self._mark, self._count = mark, 0
        self.workers: dict[str, _Process] = {}

    def Process(self, *arguments: Any, **options: Any) -> _Process:  # type: ignore[override]
        process = _Process(*arguments, **options)
        process.home = self
        return process

    def next_mark(self) -> str:
        self._count += 1
        return f"{self._mark}.{self._count}"

    @property
    def worker(self) -> _Process | None:
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
