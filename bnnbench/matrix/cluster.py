"""Tasks on a Dask cluster: each in a process of its own there, what it reads sent along, what it writes sent back.

The store stays with the run that owns it: a machine of the cluster needs bnnbench, the plugins and the data sets, and
sees nothing of the store.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import shutil
import tempfile
import threading
import time
import uuid
import warnings
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ClusterLost
from bnnbench.matrix.executors import LocalPool, Work
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store
from bnnbench.matrix.work import Setting
from bnnbench.matrix.workers.failures import WorkerDied

if TYPE_CHECKING:
    from distributed import Client

CONNECTING = 10.0
"""Seconds to reach a scheduler."""
LOOKING = 5.0
"""Seconds between looks at how many workers there are."""

Contents = dict[tuple[str, str], dict[str, bytes]]


class DaskPool:
    """Twice as many tasks at once as the cluster's workers have threads; workers may come and go.

    A cluster that grows with its work sees by the tasks that wait that there is more to do.

    Use as a context manager. Leaving it because of an exception ends what is running on the cluster.
    """

    def __init__(self, address: str, store: Store, *, memory: int) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterLost("--dask needs Dask: pip install 'bnnbench[distributed]'") from error
        try:
            self._client: Client = Client(address, timeout=CONNECTING, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterLost(f"no Dask scheduler answers at {address}") from error
        self._address, self._store, self._memory = address, store, memory
        self._run = uuid.uuid4().hex
        self._ended: queue.Queue[tuple[Future[str], Future[Any]]] = queue.Queue()
        self._executor = self._client.get_executor(pure=False)
        self._looked = 0.0
        self.capacity = 1
        self._look()

    def submit(self, work: Work, setting: Setting) -> Future[str]:
        """Send the work with what it needs. Its future holds its status when its records are in the store; it fails as
        that of `LocalPool` does."""
        # With the task itself: what lies with a worker for several tasks is lost with it, and they with that.
        given = {(kind, key): files for kind, key in work.needs if (files := self._store.contents(kind, key))}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            raw = self._executor.submit(_perform, work, setting, self._memory, self._run, given)
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
            if kind is not None:
                self._executor.shutdown(wait=False)  # It cancels what waits.
            with contextlib.suppress(OSError, TimeoutError):
                self._client.run(_stop, self._run, on_error="ignore")
        self._client.close(timeout=1)

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self.capacity = 2 * max(1, sum(self._client.nthreads().values()))
        except (OSError, TimeoutError) as error:
            raise ClusterLost(f"the Dask scheduler at {self._address} is gone") from error

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

_pools: dict[tuple[str, int, int], LocalPool] = {}
_lock = threading.Lock()


def _perform(work: Work, setting: Setting, memory: int, run: str, given: Contents) -> tuple[str, Contents]:
    """Do the work in a process of this machine, in a store that lasts as long as the work."""
    folder = Path(tempfile.mkdtemp(prefix="bnnbench-"))
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
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_process(work: Work, setting: Setting, memory: int, run: str) -> str:
    with _lock:
        pool = _pool(run, setting.threads, memory)
        future = pool.submit(work, setting)
    while not future.done():
        if pool not in _pools.values():
            raise WorkerDied("its run has ended")
        pool.watch()
        time.sleep(0.05)
    return future.result()


def _pool(run: str, threads: int, memory: int) -> LocalPool:
    """The processes of this Dask worker, as many as it has threads; those of another run have ended."""
    from distributed import get_worker

    # Under a nanny this process is one that multiprocessing would let have no children, lest they outlive it when it is
    # killed; ours have a guard.
    multiprocessing.current_process().daemon = False
    wanted = (run, threads, memory)
    if wanted not in _pools:
        for other in list(_pools):
            _pools.pop(other).__exit__(None)
        _pools[wanted] = LocalPool(get_worker().state.nthreads, threads=threads, memory=memory)
    return _pools[wanted]


def _stop(run: str) -> None:
    """End the processes of a run on this worker."""
    with _lock:
        for wanted in [wanted for wanted in _pools if wanted[0] == run]:
            _pools.pop(wanted).__exit__(None)
