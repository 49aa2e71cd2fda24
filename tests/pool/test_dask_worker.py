"""Jobs on a machine of a cluster: the processes of a run there, and the records that go back."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from waiting import within

from bnnbench.pool import dask_worker
from bnnbench.pool.job import Job, Setting
from bnnbench.pool.processes import gpus
from bnnbench.pool.processes.gpus import Gpu, Place
from bnnbench.store.store import CHAINS, DRAWS, FITS, RECORD, Store

distributed = pytest.importorskip("distributed")
FIT = "aa" * 32
CHAIN = (CHAINS, f"{FIT}-0")


def joining(setting: Setting) -> str:
    """Write a fit and remove its chain."""
    store = Store(setting.store)
    store.write(FITS, FIT, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws") and None})
    store.remove(*CHAIN)
    return "ok"


def failing(setting: Setting) -> str:
    raise ValueError("on purpose")


class Processes:
    """Stands for the processes of a run: jobs are called at once, in this process."""

    running: set[Processes] = set()

    def __init__(self, workers: int, *, threads: int, memory: int, places: list[Place]) -> None:
        self.places = places
        self.running.add(self)

    def submit(self, job: Job, setting: Setting) -> Future[str]:
        future: Future[str] = Future()
        try:
            future.set_result(job.function(*job.arguments, setting))
        except ValueError as error:
            future.set_exception(error)
        return future

    def watch(self) -> None:
        """Do nothing."""

    def __exit__(self, *error: object) -> None:
        self.running.remove(self)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of a cluster that begins with no processes, and ends with none."""
    worker = SimpleNamespace(local_directory=str(tmp_path), state=SimpleNamespace(nthreads=2))
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    monkeypatch.setattr(dask_worker, "ProcessesPool", Processes)
    monkeypatch.setattr(dask_worker, "_pools", {})
    yield
    for run in list(dask_worker._pools):
        dask_worker.stop(run)
    assert not Processes.running


def payload(
    function: object,
    run: str,
    needed: dask_worker.Contents | None = None,
    device: str = "cpu",
    gpu_memory: int | None = None,
) -> bytes:
    setting = Setting("unused", device, 1, gpu_memory=gpu_memory)
    job = Job(function, (), (), 1.0)  # type: ignore[arg-type]
    return pickle.dumps((job, setting, 2**30, run, needed or {}))


def test_records_that_a_job_writes_and_removes_go_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "of the run")
    with store.held():
        store.write(*CHAIN, {"status": "ok"})
    needed = {CHAIN: store.contents(*CHAIN) or {}}
    status, changed = dask_worker.perform(payload(joining, "run", needed))
    assert status == "ok"
    assert {place: set(files) for place, files in changed.items()} == {(FITS, FIT): {RECORD, DRAWS}, CHAIN: set()}


@pytest.mark.parametrize("function", [joining, failing])
def test_the_processes_of_a_run_that_sends_no_more_jobs_are_ended(
    monkeypatch: pytest.MonkeyPatch, function: object
) -> None:
    """The run may have been killed, and no other run may ever come."""
    monkeypatch.setattr(dask_worker, "IDLE_SECONDS", 0.2)
    with contextlib.suppress(ValueError):
        dask_worker.perform(payload(function, "killed"))
    assert Processes.running
    assert within(5, lambda: not Processes.running)
    assert not dask_worker._pools


def test_a_run_that_sends_jobs_keeps_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_worker, "IDLE_SECONDS", 600.0)
    dask_worker.perform(payload(joining, "run"))
    (first,) = Processes.running
    own = dask_worker._pools["run"]
    timer = own.timer
    dask_worker.perform(payload(joining, "run"))
    assert Processes.running == {first}
    assert timer is not own.timer
    assert timer is not None
    assert timer.finished.is_set()
    own.jobs = 1
    dask_worker._end_idle("run", own)
    assert Processes.running == {first}


@pytest.mark.parametrize(
    ("device", "gpu_memory", "places"),
    [
        ("cpu", None, []),
        ("auto", None, [Place(0), Place(0)]),
        ("auto", 2**32, [Place(0, 0.25), Place(0, 0.25)]),
    ],
)
def test_the_processes_of_a_run_are_spread_over_the_gpus_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, device: str, gpu_memory: int | None, places: list[Place]
) -> None:
    monkeypatch.setattr(gpus, "inventory", lambda: [Gpu(0, 2**34)])
    dask_worker.perform(payload(joining, "run", device=device, gpu_memory=gpu_memory))
    assert [one.places for one in Processes.running] == [places]


def test_a_run_that_ends_takes_its_processes_and_its_timer_along() -> None:
    dask_worker.perform(payload(joining, "run"))
    timer = dask_worker._pools["run"].timer
    dask_worker.stop("run")
    dask_worker.stop("run")
    assert not Processes.running
    assert timer is not None
    assert timer.finished.is_set()
