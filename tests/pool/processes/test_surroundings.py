"""Worker processes where the host, or the computer, lacks something."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
from multiprocessing import synchronize
from typing import Any

import jobs
import pytest

from bnnbench.pool.job import Job, Setting
from bnnbench.pool.processes.pool import ProcessesPool
from bnnbench.pool.processes.spawning import OneWorkersLock


def run_a_job() -> str:
    """The result of a job in a pool of one worker."""
    with ProcessesPool(1, threads=1, memory=2**40) as pool:
        future = pool.submit(Job(jobs.surroundings, (), (), 60.0), Setting("store", "cpu", 1))
        until = time.monotonic() + 60
        while not future.done() and time.monotonic() < until:
            pool.watch()
            time.sleep(0.05)
        return future.result(timeout=0)


def _tell(queue: Any) -> None:
    queue.put((os.getpid(), run_a_job(), multiprocessing.current_process().daemon))


@pytest.mark.integration
def test_no_shared_memory_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/dev/shm` may be read-only, full or absent, and then there are no semaphores."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(synchronize.SemLock, "__init__", refuse)
    assert run_a_job()


@pytest.mark.integration
def test_a_daemonic_process_may_have_workers() -> None:
    """multiprocessing's pools make their workers daemonic, and lets those have no children."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_tell, args=(queue,), daemon=True)
    process.start()
    number, found, daemonic = queue.get(timeout=90)
    process.join(30)
    assert found.split("|")[0] not in (str(number), str(os.getpid()))
    assert daemonic


def test_a_lock_of_one_worker_is_made_anew_in_another_process() -> None:
    lock = OneWorkersLock()
    assert lock.acquire(timeout=1)
    assert lock.acquire(block=False)
    copy = pickle.loads(pickle.dumps(lock))
    assert copy.acquire(block=True, timeout=None)
    for one in (lock, lock, copy):
        one.release()
