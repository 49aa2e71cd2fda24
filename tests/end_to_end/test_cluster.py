"""Runs on a Dask cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from commands import called
from light import MATRIX, ONE_FIT, written
from plugged import install
from waiting import is_gone, text_of, within

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.pool.processes.guard import MARK
from bnnbench.report.formats import to_json
from bnnbench.store.store import RECORD

SLOW = """
import time
from bnnbench import Attack, hookimpl

class Slow(Attack):
    '''Takes its time.'''
    def perturb(self, victim, x, y, threat, rng):
        time.sleep(0.3)
        return x.clone()

@hookimpl
def bnnbench_register(registry):
    registry.attack("slow", Slow)
"""


class Cluster:
    """Its processes, and where its scheduler listens."""

    def __init__(
        self, scheduler: subprocess.Popen[bytes], workers: list[subprocess.Popen[bytes]], address: str
    ) -> None:
        self.scheduler, self.workers, self.address = scheduler, workers, address


@contextmanager
def cluster(folder: Path, path: Path | None = None, workers: int = 2, nanny: bool = False) -> Iterator[Cluster]:
    """A cluster that ends with the test."""
    environment = {**os.environ, "PYTHONPATH": str(path or ""), "OMP_NUM_THREADS": "1"}
    file = folder / "scheduler.json"
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        with (folder / f"dask-{len(started)}.log").open("wb") as log:
            command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
            started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        return started[-1]

    try:
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        assert within(60, lambda: address_in(file)), (folder / "dask-0.log").read_text()
        worker = ["worker", address_in(file), "--nthreads", "1", "--nanny" if nanny else "--no-nanny"]
        yield Cluster(scheduler, [start(*worker) for _ in range(workers)], address_in(file))
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def address_in(file: Path) -> str:
    """Where a scheduler listens, by its own file; nothing until that is whole."""
    try:
        return str(json.loads(text_of(file))["address"])
    except json.JSONDecodeError:
        return ""


def known(address: str) -> int:
    """How many tasks a scheduler has."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return len(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("here")
    return bb.run(written(folder, MATRIX), store=folder / "store", jobs=0)


def test_a_cluster_gives_the_bytes_of_one_computer(here: Results, tmp_path: Path) -> None:
    with cluster(tmp_path, nanny=True) as dask:  # What `dask worker` does unless it is told otherwise.
        there = bb.run(written(tmp_path, MATRIX), store=tmp_path / "store", dask=dask.address)
        assert to_json(there) == to_json(here)
        assert there.store.damaged == []
        assert not list((tmp_path / "store" / "chains").iterdir())
        # The next run on it is answered by the store.
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob(RECORD)}
        again = bb.run(written(tmp_path, MATRIX), store=tmp_path / "store", dask=dask.address)
        assert to_json(again) == to_json(here)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob(RECORD)} == stamps


def test_a_killed_worker_costs_only_its_task(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    environment = install(tmp_path / "plugins", SLOW, "slowly")
    epsilons = ", ".join(f"0.0{number}" for number in range(1, 4))
    text = ONE_FIT.replace("[0.05]", f"[{epsilons}]").replace(
        "random: {use: random-sign}, fgsm: , pgd: {steps: 2}", "slow: "
    )
    written(tmp_path, f"seeds: [0, 1, 2, 3]\n{text}")
    with cluster(tmp_path, tmp_path / "plugins") as dask:
        process = subprocess.Popen(
            [sys.executable, "-m", "bnnbench", "run", "--dask", dask.address],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        there = tmp_path / "store" / "cells"
        # More than there are threads for: those that wait tell a cluster that grows with its work to do so.
        assert within(120, lambda: known(dask.address) > len(dask.workers))
        assert within(120, lambda: list(there.glob(f"*/{RECORD}")))
        kept = {path: path.stat().st_mtime_ns for path in there.glob(f"*/{RECORD}")}
        family = [one.pid for one in psutil.Process(dask.workers[0].pid).children(recursive=True)]
        assert family
        dask.workers[0].send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
        assert f"Dask cluster at {dask.address}: workers: 2, threads: 2\n" in errors
        assert f"Dask cluster at {dask.address}: workers: 1, threads: 1\n" in errors
        assert within(30, lambda: all(map(is_gone, family)))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(there.glob(f"*/{RECORD}"))) == 12


@pytest.mark.slow
def test_ctrl_c_ends_what_runs_on_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    environment = install(tmp_path / "plugins", SLOW.replace("0.3", "300"), "slowly")
    text = ONE_FIT.replace("[0.05]", "[0.0, 0.05]").replace("fgsm: , pgd: {steps: 2}", "slow: ")
    written(tmp_path, text)
    with cluster(tmp_path, tmp_path / "plugins") as dask:
        command = [sys.executable, "-m", "bnnbench", "run", "--dask", dask.address]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        assert within(120, lambda: len(list((tmp_path / "store" / "cells").glob(f"*/{RECORD}"))) == 2)
        children = [one for worker in dask.workers for one in psutil.Process(worker.pid).children(recursive=True)]
        family = [one.pid for one in children if MARK in one.environ()]
        assert family
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        assert within(30, lambda: all(map(is_gone, family)))
        assert all(worker.poll() is None for worker in dask.workers)


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_and_it_goes_on_here(here: Results, tmp_path: Path) -> None:
    path = written(tmp_path, MATRIX)
    with cluster(tmp_path) as dask:
        threading.Timer(0.1, lambda: kill_when_something_is_kept(dask, tmp_path / "store")).start()
        with pytest.raises(bb.ClusterLost, match=r"the Dask scheduler at .* is gone"):
            bb.run(path, store=tmp_path / "store", dask=dask.address)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob(RECORD)}
    assert kept
    assert to_json(bb.run(path, store=tmp_path / "store", jobs=0)) == to_json(here)
    assert {path: path.stat().st_mtime_ns for path in kept if path.exists() and path.parts[-3] != "chains"} == {
        path: stamp for path, stamp in kept.items() if path.parts[-3] != "chains"
    }


def kill_when_something_is_kept(dask: Cluster, store: Path) -> None:
    within(120, lambda: list(store.rglob(RECORD)))
    dask.scheduler.kill()


def test_no_scheduler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnbench.pool.dask_address.CONNECT_SECONDS", 1)
    written(tmp_path, MATRIX)
    done = called("run", "--dask", "tcp://127.0.0.1:1", folder=tmp_path)
    assert done.returncode == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
