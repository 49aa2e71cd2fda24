"""Run jobs on a Dask cluster: the side of the run.

Each job is sent together with the records that it reads, and the records that it writes are sent back. The store stays
with the run that holds it: a machine of the cluster needs bnnbench, the plugins and the data sets, and never sees the
store. `dask_worker` is the side of the cluster.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from bnnbench.errors import ClusterLost, DamagedArtefact, one_line
from bnnbench.pool import dask_worker
from bnnbench.pool.dask_address import CONNECT_SECONDS, check_scheduler
from bnnbench.pool.dask_worker import Contents
from bnnbench.pool.failures import WorkerDied
from bnnbench.pool.job import Job, Setting
from bnnbench.store.store import Store

if TYPE_CHECKING:
    from distributed import Client

COUNT_INTERVAL = 2.0
"""Seconds between counts of the workers of the cluster."""
COUNT_SECONDS = 30.0
"""The time limit for a scheduler to answer such a count."""
LEAVE_SECONDS = 1.5
"""The time limit for ending what runs on the cluster: Ctrl-C ends a run within two seconds."""


class DaskPool:
    """Runs jobs on a Dask cluster, twice as many at once as its workers have threads; workers may come and go.

    The jobs that wait tell a cluster that grows with its work to grow. `say` is called with a line of text when the
    number of workers has changed. `memory` is the limit of a job in bytes.

    Use as a context manager. Leaving it because of an exception ends what is running on the cluster. Raises
    `ClusterLost` if no scheduler answers at the address. `dask_address.check_address` refuses a text that is none.
    """

    def __init__(self, address: str, store: Store, *, memory: int, say: Callable[[str], None]) -> None:
        self._client = _connected(address)
        self._address, self._store, self._memory, self._say = address, store, memory, say
        self._run = uuid.uuid4().hex
        self._finished: queue.Queue[tuple[Future[str], Future[Any]]] = queue.Queue()
        self._executor = self._client.get_executor(pure=False)
        self._counted_at = 0.0
        self._threads: dict[str, int] | None = None
        """The number of threads of each worker, by its address, when they were last counted."""
        self.capacity = 1
        try:
            self._count_workers()
        except BaseException:
            self._client.close(timeout=LEAVE_SECONDS)
            raise

    def submit(self, job: Job, setting: Setting) -> Future[str]:
        """Send a job with the records that it needs.

        Its future holds the status of the job when the records that it wrote are in the store. It fails as that of
        `ProcessesPool` does, and with `DamagedArtefact` if a record that the job needs is damaged or gone.
        """
        future: Future[str] = Future()
        try:
            # Sent with the job itself: data that Dask keeps on a worker for several jobs would be lost with the worker.
            needed = needed_records(job, self._store)
        except DamagedArtefact as error:
            future.set_exception(error)
            return future
        # Pickled here, because the scheduler unpickles what it passes on, and has none of the plugins.
        payload = pickle.dumps((job, setting, self._memory, self._run, needed))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            sent = self._executor.submit(dask_worker.perform, payload)
        sent.add_done_callback(lambda finished: self._finished.put((future, finished)))
        return future

    def watch(self) -> None:
        """Take in the results that have arrived; raises `ClusterLost` if the scheduler is gone."""
        while not self._finished.empty():
            future, sent = self._finished.get()
            try:
                status, written = _result(sent)
                for (kind, key), contents in written.items():
                    self._take_in(kind, key, contents)
            except Exception as error:  # noqa: BLE001 - whatever a job raises on the cluster is its failure here
                future.set_exception(error)
            else:
                future.set_result(status)
        if self._client.status != "running":
            raise ClusterLost(f"the Dask scheduler at {self._address} is gone")
        if time.monotonic() - self._counted_at > COUNT_INTERVAL:
            self._count_workers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._client.status == "running":
            leaving = threading.Thread(target=self._leave, args=(kind is not None,), daemon=True)
            leaving.start()
            leaving.join(LEAVE_SECONDS)
        self._client.close(timeout=LEAVE_SECONDS / 4)

    def _leave(self, early: bool) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            if early:
                self._executor.shutdown(wait=False)  # This cancels the jobs that wait.
            self._client.run(dask_worker.stop, self._run, on_error="ignore")

    def _count_workers(self) -> None:
        self._counted_at = time.monotonic()
        try:
            threads = self._client.sync(self._client.scheduler.ncores, callback_timeout=COUNT_SECONDS)
        except (OSError, TimeoutError) as error:
            raise ClusterLost(f"the Dask scheduler at {self._address} is gone, or does not answer") from error
        self.capacity = 2 * max(1, sum(threads.values()))
        if threads != self._threads:
            self._threads = threads
            counts = f"workers: {len(threads)}, threads: {sum(threads.values())}"
            self._say(f"Dask cluster at {self._address}: {counts if threads else 'no workers, waiting for them'}")

    def _take_in(self, kind: str, key: str, contents: Mapping[str, bytes]) -> None:
        """Do to a record of the run's store what the job has done to its own: write it, or remove it without files."""
        if contents:
            self._store.adopt(kind, key, contents)
        else:
            self._store.remove(kind, key)


def _connected(address: str) -> Client:
    """A client of the scheduler at an address; raises `ClusterLost` if none answers."""
    check_scheduler(address)
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:
        # For example another version of Dask, or a scheduler that has ended since.
        raise ClusterLost(f"the Dask scheduler at {address} refuses: {one_line(str(error), 200)}") from error


def needed_records(job: Job, store: Store) -> Contents:
    """The files of the records that a job reads, all verified.

    Raises `DamagedArtefact` if one of the records is damaged or gone: its subject is computed again.
    """
    needed: Contents = {}
    for kind, key in job.needs:
        contents = store.contents(kind, key)
        if contents is None:
            raise DamagedArtefact(f"{kind}/{key} is damaged, or not in the store any more")
        needed[kind, key] = contents
    return needed


def _result(sent: Future[Any]) -> tuple[str, Contents]:
    from distributed import KilledWorker

    try:
        status, written = sent.result(timeout=0)
    except KilledWorker as error:
        raise WorkerDied(f"Dask gave up: {error}") from error
    return status, written
