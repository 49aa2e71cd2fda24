"""Worker processes where the host, or the computer, lacks something."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
from multiprocessing import synchronize

import jobs
import pytest

from bnnbench.pool.processes.spawning import OneWorkersLock


@pytest.mark.integration
def test_no_shared_memory_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/dev/shm` may be read-only, full or absent, and then there are no semaphores."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(synchronize.SemLock, "__init__", refuse)
    assert jobs.run_a_job()


@pytest.mark.integration
def test_a_daemonic_process_may_have_workers() -> None:
    """multiprocessing's pools make their workers daemonic, and lets those have no children."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=jobs.tell, args=(queue,), daemon=True)
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
