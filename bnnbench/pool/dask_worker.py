"""Run jobs on a Dask cluster: the side of the cluster, which Dask's workers import.

Each job runs in a worker process of its own there, in a store that lasts as long as the job.
"""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bnnbench.errors import StoreUnwritable
from bnnbench.pool.failures import WorkerDied
from bnnbench.pool.job import Job, Setting
from bnnbench.pool.processes.pool import ProcessesPool
from bnnbench.store.layout import KINDS
from bnnbench.store.store import Store

IDLE_SECONDS = 60.0
"""The time after which the processes of a run that has no job on this worker are ended."""

Contents = dict[tuple[str, str], dict[str, bytes]]
"""The files of records by name, for each (kind, key)."""


@dataclass
class _RunPool:
    """The processes of a run on this worker, the number of its jobs, and when the last one began or ended."""

    pool: ProcessesPool
    jobs: int = 0
    used_at: float = 0.0


_pools: dict[str, _RunPool] = {}
_lock = threading.Lock()


def perform(payload: bytes) -> tuple[str, Contents]:
    """Run a job; returns its status and the records that it wrote.

    The payload is the pickled job, setting, memory limit in bytes, identifier of the run, and needed records.
    """
    from distributed import get_worker

    with _lock:  # Two threads that import at once have made CPython 3.11 fail to parse a module.
        job, setting, memory, run, needed = pickle.loads(payload)
    # The owner of the machine chose the disk of this folder, and Dask clears it after a worker was killed.
    folder = Path(tempfile.mkdtemp(prefix="bnnbench-", dir=get_worker().local_directory))
    try:
        store = Store(folder / "store")
        with store.held():
            for (kind, key), contents in needed.items():
                store.adopt(kind, key, contents)
            here = replace(setting, store=str(store.path), progress=None)
            status = _in_process(job, here, memory, run)
            written = {
                (kind, key): files
                for kind in KINDS
                for key in list(store.keys(kind))
                if (kind, key) not in needed and (files := store.contents(kind, key)) is not None
            }
        if store.damaged:
            raise WorkerDied(f"its disk damaged what it wrote: {store.damaged[0]}")
        return status, written
    except StoreUnwritable as error:
        # The disk of this machine is full or broken, and not that of the run: the job may succeed on another machine.
        raise WorkerDied(str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop(run: str) -> None:
    """End the processes of a run on this worker."""
    with _lock:
        if run in _pools:
            _pools.pop(run).pool.__exit__(None)


def _in_process(job: Job, setting: Setting, memory: int, run: str) -> str:
    with _lock:
        own = _run_pool(run, setting.threads, memory)
        future = own.pool.submit(job, setting)
        own.jobs += 1
    try:
        while not future.done():
            if _pools.get(run) is not own:
                raise WorkerDied("its run has ended")
            with _lock:
                own.pool.watch()
            time.sleep(0.05)
        return future.result()
    finally:
        with _lock:
            own.jobs -= 1
            own.used_at = time.monotonic()


def _run_pool(run: str, threads: int, memory: int) -> _RunPool:
    """The processes of a run on this Dask worker, as many as the worker has threads.

    The processes of other runs that have long been idle are ended: their runs may have been killed.
    """
    from distributed import get_worker

    # Under a nanny this process is a daemon, and multiprocessing lets daemons have no children, lest they outlive the
    # daemon when it is killed. Ours have a guard that ends them.
    multiprocessing.current_process().daemon = False
    now = time.monotonic()
    others = [name for name, other in _pools.items() if name != run and not other.jobs]
    for name in others:
        if now - _pools[name].used_at > IDLE_SECONDS:
            _pools.pop(name).pool.__exit__(None)
    if run not in _pools:
        _pools[run] = _RunPool(ProcessesPool(get_worker().state.nthreads, threads=threads, memory=memory))
    _pools[run].used_at = now
    return _pools[run]
