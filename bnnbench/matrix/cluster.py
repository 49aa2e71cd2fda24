"""Tasks on a Dask cluster: each in a process of its own there, what it reads sent along, what it writes sent back.

The store stays with the run that owns it: a machine of the cluster needs bnnbench, the plugins and the data sets, and
sees nothing of the store.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import queue
import shutil
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ClusterLost, StoreUnwritable
from bnnbench.matrix.executors import LocalPool, Work
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store
from bnnbench.matrix.work import Setting
from bnnbench.matrix.workers.failures import WorkerDied

if TYPE_CHECKING:
    from distributed import Client

CONNECTING = 10.0
"""Seconds to reach a scheduler."""
LOOKING = 2.0
"""Seconds between looks at how many workers there are."""
ANSWERING = 30.0
"""Seconds in which a scheduler must answer such a look."""
LEAVING = 1.5
"""Seconds for a farewell: Ctrl-C ends a run within two, whether the scheduler listens or not."""
IDLE = 60.0
"""Seconds after which the processes of a run that has nothing to do on a worker make room."""

Contents = dict[tuple[str, str], dict[str, bytes]]


class DaskPool:
    """Twice as many tasks at once as the cluster's workers have threads; workers may come and go.

    A cluster that grows with its work sees by the tasks that wait that there is more to do. `say` is told how many
    workers there are, whenever that has changed.

    Use as a context manager. Leaving it because of an exception ends what is running on the cluster.
    """

    def __init__(self, address: str, store: Store, *, memory: int, say: Callable[[str], None]) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterLost("--dask needs Dask: pip install 'bnnbench[distributed]'") from error
        try:
            self._client: Client = Client(address, timeout=CONNECTING, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterLost(f"no Dask scheduler answers at {address}") from error
        self._address, self._store, self._memory, self._say = address, store, memory, say
        self._run = uuid.uuid4().hex
        self._ended: queue.Queue[tuple[Future[str], Future[Any]]] = queue.Queue()
        self._executor = self._client.get_executor(pure=False)
        self._looked = 0.0
        self._seen: dict[str, int] | None = None
        self.capacity = 1
        self._look()

    def submit(self, work: Work, setting: Setting) -> Future[str]:
        """Send the work with what it needs. Its future holds its status when its records are in the store; it fails as
        that of `LocalPool` does."""
        # With the task itself: what lies with a worker for several tasks is lost with it, and they with that.
        given = {(kind, key): files for kind, key in work.needs if (files := self._store.contents(kind, key))}
        # Packed: the scheduler, which looks into what it passes on, needs none of the plugins.
        payload = pickle.dumps((work, setting, self._memory, self._run, given))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            raw = self._executor.submit(_perform, payload)
        told: Future[str] = Future()
        raw.add_done_callback(lambda ended: self._ended.put((told, ended)))
        return told

    def watch(self) -> None:
        """Take in what has ended; raises `ClusterLost` if the scheduler is gone."""
        while not self._ended.empty():
            told, raw = self._ended.get()
            try:
                status, written = _result(raw)
                for (kind, key), contents in written.items():
                    self._store.adopt(kind, key, contents)
                if status == "ok":
                    self._remove_used(written)
            except Exception as error:  # noqa: BLE001 - whatever happened there is this task's end here
                told.set_exception(error)
            else:
                told.set_result(status)
        if self._client.status != "running":
            raise ClusterLost(f"the Dask scheduler at {self._address} is gone")
        if time.monotonic() - self._looked > LOOKING:
            self._look()

    def __enter__(self) -> DaskPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._client.status == "running":
            leaving = threading.Thread(target=self._leave, args=(kind is not None,), daemon=True)
            leaving.start()
            leaving.join(LEAVING)
        self._client.close(timeout=LEAVING / 4)

    def _leave(self, early: bool) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            if early:
                self._executor.shutdown(wait=False)  # It cancels what waits.
            self._client.run(_stop, self._run, on_error="ignore")

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            threads = self._client.sync(self._client.scheduler.ncores, callback_timeout=ANSWERING)
        except (OSError, TimeoutError) as error:
            raise ClusterLost(f"the Dask scheduler at {self._address} is gone, or does not answer") from error
        self.capacity = 2 * max(1, sum(threads.values()))
        if threads != self._seen:
            self._seen = threads
            there = f"workers: {len(threads)}, threads: {sum(threads.values())}"
            self._say(f"Dask cluster at {self._address}: {there if threads else 'no workers, waiting for them'}")

    def _remove_used(self, written: Contents) -> None:
        """Chains that have become a fit."""
        for kind, key in written:
            if kind == FITS:
                for chain in list(self._store.keys(CHAINS)):
                    if chain.startswith(f"{key}-"):
                        self._store.remove(CHAINS, chain)


def _result(raw: Future[Any]) -> tuple[str, Contents]:
    from distributed import KilledWorker

    try:
        status, written = raw.result(timeout=0)
    except KilledWorker as error:
        raise WorkerDied(f"Dask gave up: {error}") from error
    return status, written


# What follows runs in Dask's workers.


@dataclass
class _Used:
    """The processes of a run on this worker: how many tasks they are at, and when the last one began or ended."""

    pool: LocalPool
    tasks: int = 0
    last: float = 0.0


_pools: dict[str, _Used] = {}
_lock = threading.Lock()


def _perform(payload: bytes) -> tuple[str, Contents]:
    """Do the work in a process of this machine, in a store that lasts as long as the work."""
    from distributed import get_worker

    with _lock:  # Two threads that import at once have made CPython 3.11 fail to parse what they import.
        work, setting, memory, run, given = pickle.loads(payload)
    # Dask clears this folder where a worker was killed, and its owner has chosen a disk for it.
    folder = Path(tempfile.mkdtemp(prefix="bnnbench-", dir=get_worker().local_directory))
    try:
        store = Store(folder / "store")
        with store.held():
            for (kind, key), files in given.items():
                store.adopt(kind, key, files)
            own = replace(setting, store=str(store.path), progress=None)
            status = _in_process(work, own, memory, run)
            written = {
                (kind, key): contents
                for kind in (FITS, CHAINS, CELLS)
                for key in list(store.keys(kind))
                if (kind, key) not in given and (contents := store.contents(kind, key)) is not None
            }
        return status, written
    except StoreUnwritable as error:
        # Of this machine's disk, not of the run's: another one may have room.
        raise WorkerDied(str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_process(work: Work, setting: Setting, memory: int, run: str) -> str:
    with _lock:
        used = _pool(run, setting.threads, memory)
        future = used.pool.submit(work, setting)
        used.tasks += 1
    try:
        while not future.done():
            if _pools.get(run) is not used:
                raise WorkerDied("its run has ended")
            with _lock:
                used.pool.watch()
            time.sleep(0.05)
        return future.result()
    finally:
        with _lock:
            used.tasks -= 1
            used.last = time.monotonic()


def _pool(run: str, threads: int, memory: int) -> _Used:
    """The processes of a run on this Dask worker, as many as it has threads. Those of a run that has long been idle may
    be all that is left of it: they are ended."""
    from distributed import get_worker

    # Under a nanny this process is one that multiprocessing would let have no children, lest they outlive it when it is
    # killed; ours have a guard.
    multiprocessing.current_process().daemon = False
    now = time.monotonic()
    for other in [name for name, used in _pools.items() if name != run and not used.tasks and now - used.last > IDLE]:
        _pools.pop(other).pool.__exit__(None)
    if run not in _pools:
        _pools[run] = _Used(LocalPool(get_worker().state.nthreads, threads=threads, memory=memory))
    _pools[run].last = now
    return _pools[run]


def _stop(run: str) -> None:
    """End the processes of a run on this worker."""
    with _lock:
        if run in _pools:
            _pools.pop(run).pool.__exit__(None)
