"""Run jobs on a Dask cluster: the side of the cluster, which Dask's workers import.

Each job runs in a worker process of its own there, in a store that lasts as long as the job.
"""

from __future__ import annotations

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
from bnnbench.pool.processes import gpus
from bnnbench.pool.processes.pool import ProcessesPool
from bnnbench.store.layout import KINDS
from bnnbench.store.store import Store

IDLE_SECONDS = 60.0
"""The time after which the processes of a run that has no job on this worker are ended: it may have been killed."""

Contents = dict[tuple[str, str], dict[str, bytes]]
"""The files of records by name, for each (kind, key). No files stand for a record that is removed."""


@dataclass
class _RunPool:
    """The processes of a run on this worker, the number of its jobs, and the timer that ends it while it has none."""

    pool: ProcessesPool
    jobs: int = 0
    timer: threading.Timer | None = None

    def begin_job(self) -> None:
        """Count a job, and stop the timer."""
        self.jobs += 1
        self.stop_timer()

    def stop_timer(self) -> None:
        """Stop the timer if it runs."""
        if self.timer is not None:
            self.timer.cancel()


_pools: dict[str, _RunPool] = {}
_lock = threading.Lock()


def perform(payload: bytes) -> tuple[str, Contents]:
    """Run a job; returns its status, and the records that it wrote and removed.

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
            changed = _changed(store, needed)
        if store.damaged:
            raise WorkerDied(f"its disk damaged what it wrote: {store.damaged[0]}")
        return status, changed
    except StoreUnwritable as error:
        # The disk of this machine is full or broken, and not that of the run: the job may succeed on another machine.
        raise WorkerDied(str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _changed(store: Store, needed: Contents) -> Contents:
    """The records that a job has written into a store which held the needed ones, and those that it has removed."""
    written = {
        (kind, key): files
        for kind in KINDS
        for key in list(store.keys(kind))
        if (kind, key) not in needed and (files := store.contents(kind, key)) is not None
    }
    removed: Contents = {place: {} for place in needed if not store.place(*place).exists()}
    return written | removed


def stop(run: str) -> None:
    """End the processes of a run on this worker."""
    with _lock:
        if run in _pools:
            _end(run)


def _end(run: str) -> None:
    own = _pools.pop(run)
    own.stop_timer()
    own.pool.__exit__(None)


def _in_process(job: Job, setting: Setting, memory: int, run: str) -> str:
    with _lock:
        own = _run_pool(run, setting, memory)
        own.begin_job()
    try:
        future = None
        while future is None or not future.done():
            with _lock:
                if _pools.get(run) is not own:
                    raise WorkerDied("its run has ended")
                future = future or own.pool.submit(job, setting)
                own.pool.watch()
            time.sleep(0.05)
        return future.result()
    finally:
        with _lock:
            own.jobs -= 1
            if not own.jobs and _pools.get(run) is own:
                own.timer = threading.Timer(IDLE_SECONDS, _end_idle, (run, own))
                own.timer.daemon = True
                own.timer.start()


def _end_idle(run: str, own: _RunPool) -> None:
    """End the processes of a run, unless it has a job again."""
    with _lock:
        if _pools.get(run) is own and not own.jobs:
            _end(run)


def _run_pool(run: str, setting: Setting, memory: int) -> _RunPool:
    """The processes of a run on this Dask worker, as many as the worker has threads, on the GPUs of its machine."""
    from distributed import get_worker

    if run not in _pools:
        number = get_worker().state.nthreads
        places = gpus.places(setting.device, number, setting.gpu_memory)
        _pools[run] = _RunPool(ProcessesPool(number, threads=setting.threads, memory=memory, places=places))
    return _pools[run]
