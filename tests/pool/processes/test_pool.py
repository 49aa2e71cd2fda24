"""The pool of worker processes: what a job finds there, and what is left of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jobs
import psutil
import pytest
from waiting import is_gone, text_of, within

from bnnbench.pool.failures import Raised, TimeExceeded, WorkerDied, failure
from bnnbench.pool.job import Job, Setting
from bnnbench.pool.processes.gpus import Place
from bnnbench.pool.processes.pool import ProcessesPool, usable_cores
from bnnbench.pool.processes.slot import _how_it_ended

pytestmark = pytest.mark.integration
SETTING = Setting("store", "cpu", 1)


def job(function: Any, *arguments: Any, timeout: float = 60.0) -> Job:
    return Job(function, arguments, (), timeout)


@pytest.fixture
def pool() -> Iterator[ProcessesPool]:
    with ProcessesPool(2, threads=1, memory=2**40) as pool:
        yield pool


def finished(pool: ProcessesPool, *futures: Future[str]) -> None:
    """Watch the pool until jobs have ended."""
    until = time.monotonic() + 60
    while not all(future.done() for future in futures):
        assert time.monotonic() < until
        pool.watch()
        time.sleep(0.05)


def test_each_worker_has_its_own_threads_and_cores_and_no_framework(pool: ProcessesPool) -> None:
    futures = [pool.submit(job(jobs.surroundings), SETTING) for _ in range(pool.capacity)]
    finished(pool, *futures)
    found = [future.result().split("|") for future in futures]
    assert len({process for process, *_ in found} | {str(os.getpid())}) == 3
    for _, threads, cores, loaded, main in found:
        assert (threads, loaded, main) == ("1", "[]", "None")
        assert cores in [f"[{core}]" for core in usable_cores()]


def test_each_worker_has_its_gpu_and_its_share_of_the_memory() -> None:
    with ProcessesPool(2, threads=1, memory=2**40, places=[Place(1, 0.25), Place(0)]) as pool:
        futures = [pool.submit(job(jobs.place), SETTING) for _ in range(2)]
        finished(pool, *futures)
        assert [future.result() for future in futures] == ["1|0.2500", "0|None"]


def test_a_job_that_fails_or_ends_its_worker_affects_no_other(pool: ProcessesPool) -> None:
    raising, leaving = pool.submit(job(jobs.failing), SETTING), pool.submit(job(jobs.leaving, 7), SETTING)
    finished(pool, raising, leaving)
    error = raising.exception()
    assert isinstance(error, Raised)
    assert failure(error, 1.0, 1).reason == "OfAFunction: on purpose"
    assert isinstance(leaving.exception(), WorkerDied)
    assert failure(leaving.exception() or error, 1.0, 1).reason == "its process died (exit code 7)"
    next_one = pool.submit(job(jobs.surroundings), SETTING)
    finished(pool, next_one)
    assert next_one.result()


def test_a_job_that_takes_too_long_is_ended_with_its_children(pool: ProcessesPool, tmp_path: Path) -> None:
    late = pool.submit(job(jobs.sleeping, str(tmp_path), timeout=1.0), SETTING)
    finished(pool, late)
    assert isinstance(late.exception(), TimeExceeded)

    def watched() -> bool:
        pool.watch()
        return is_gone(int(text_of(tmp_path / "child")))

    assert within(30, watched)


def test_nothing_is_left_of_a_pool_that_is_left(tmp_path: Path) -> None:
    this = psutil.Process()
    before = set(this.children(recursive=True))
    with ProcessesPool(1, threads=1, memory=2**40) as pool:
        pool.submit(job(jobs.sleeping, str(tmp_path)), SETTING)
        assert within(60, lambda: text_of(tmp_path / "child"))
        started = set(this.children(recursive=True)) - before
    # Python's own process that removes semaphores lives as long as this one.
    own = {one for one in started if is_gone(one.pid) or "resource_tracker" not in " ".join(one.cmdline())}
    assert int(text_of(tmp_path / "child")) in {one.pid for one in own}
    assert len(own) >= 3
    assert within(10, lambda: all(is_gone(one.pid) for one in own))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (7, "exit code 7"),
        (1, "exit code 1; what ended it may have said why on standard error"),
        (-9, "SIGKILL; is the computer out of memory?"),
        (-11, "SIGSEGV"),
        (-999, "exit code -999"),
    ],
)
def test_how_a_worker_ended_is_told(code: int, told: str) -> None:
    assert _how_it_ended(code) == told
