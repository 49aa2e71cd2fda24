"""A task that fails or dies disturbs no other, and no process of a run outlives the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import light
import psutil
import pytest
from plugged import bnnbench, install, rows
from waiting import is_gone, text_of, within

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.store.store import RECORD, Store

NETWORKS = """
import ctypes, os, pathlib, subprocess, sys, time
import torch

HERE = pathlib.Path(__file__).parent

class Named(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.happen()
    def happen(self):
        pass

class Fine(Named):
    pass

class Leaves(Named):
    def happen(self):
        os._exit(0)

class Crashes(Named):
    def happen(self):
        os._exit(7)

class CrashesOnce(Named):
    def happen(self):
        if not (HERE / "crashed").exists():
            (HERE / "crashed").touch()
            os._exit(7)

class Segfaults(Named):
    def happen(self):
        ctypes.string_at(0)

class Fails(Named):
    def happen(self):
        raise RuntimeError("on purpose\\nand \\x1b[31mred")

class Exits(Named):
    def happen(self):
        sys.exit("goodbye")

class Aborts(Named):
    '''Raises what nobody else knows, and is no Exception.'''
    class Abort(BaseException):
        pass
    def happen(self):
        raise self.Abort("enough")

class Patient(Named):
    def happen(self):
        (HERE / "child").write_text(str(os.getpid()))
        time.sleep(5)

class LoopsInC(Named):
    '''Holds the interpreter's lock in C, deaf to signals, with a child in a session of its own.'''
    environment = None
    def happen(self):
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        lives_on = subprocess.Popen(command, start_new_session=True, env=self.environment)
        (HERE / "child").write_text(str(lives_on.pid))
        ctypes.PyDLL(None).sleep(600)

class Hides(LoopsInC):
    '''Its child bears no mark.'''
    environment = {}

class Hungry(Named):
    '''Its child is the one that eats.'''
    def happen(self):
        code = "import time; kept = [bytearray(3 * 10**8) for _ in range(20) if not time.sleep(0.2)]; time.sleep(60)"
        subprocess.run([sys.executable, "-c", code])
"""

MATRIX = """
epsilons: [0.05]
evaluate: {images: 20}
datasets: {points: {use: 'light.py:Points'}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks: {random: {use: random-sign}}
"""


def matrix(folder: Path, names: list[str], more: str = "") -> Path:
    (folder / "nets.py").write_text(NETWORKS)
    networks = "".join(f"  {name.lower()}: {{use: 'nets.py:{name}'}}\n" for name in names)
    return light.written(folder, f"{MATRIX}networks:\n{networks}{more}\n")


def outcomes(folder: Path, names: list[str], more: str = "") -> dict[str, tuple[str, str]]:
    results = bb.run(matrix(folder, names, more), store=folder / "store")
    return {row["network"]: (row["status"], row["reason"]) for row in results.rows()}


def test_what_dies_dies_alone_with_its_reason(tmp_path: Path) -> None:
    names = ["Leaves", "Crashes", "CrashesOnce", "Segfaults", "Fails", "Exits", "Aborts", "Fine"]
    found = outcomes(tmp_path, names)
    assert found["aborts"] == ("skipped", "its fit failed: Abort: enough")
    assert found["fine"] == found["crashesonce"] == ("ok", "")
    assert found["leaves"] == ("skipped", "its fit failed: its process died (exit code 0) 2 times")
    assert found["crashes"] == ("skipped", "its fit failed: its process died (exit code 7) 2 times")
    assert found["segfaults"] == ("skipped", "its fit failed: its process died (SIGSEGV) 2 times")
    assert found["exits"] == ("skipped", "its fit failed: SystemExit: goodbye")
    assert found["fails"] == ("skipped", "its fit failed: RuntimeError: on purpose and ?[31mred")


def test_what_meets_a_limit_dies_alone_with_its_children(tmp_path: Path) -> None:
    found = outcomes(tmp_path, ["Hides", "Hungry", "Fine"], "limits: {fit: 20s, memory: 1500MiB, retries: 0}")
    assert found["fine"] == ("ok", "")
    assert found["hides"] == ("skipped", "its fit timed out: stopped after its limit of 20 s")
    assert found["hungry"] == (
        "skipped",
        "its fit failed: its process used more than limits.memory, which is 1500 MiB",
    )
    assert is_gone(int((tmp_path / "child").read_text()))


INTERRUPTIBLE = """
import os, signal, sys

# A shell starts what it puts into the background with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "bnnbench", *sys.argv[1:]])
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run whose only network loops in C, once its child is born; it leads a group of its own."""
    matrix(folder, ["Fine", "LoopsInC"])
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "run", "-j", "2", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    there = folder / "store" / "cells"
    assert within(60, lambda: text_of(folder / "child") and list(there.glob("*/record.json")))
    return process


def descendants(process: subprocess.Popen[str]) -> list[int]:
    return [one.pid for one in psutil.Process(process.pid).children(recursive=True)]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_ends_the_run_and_the_next_one_goes_on(tmp_path: Path, number: int, code: int) -> None:
    process = started(tmp_path)
    family = [*descendants(process), int((tmp_path / "child").read_text())]
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert f"stopped ({signal.Signals(number).name}): what was finished is kept in store" in errors
    assert within(30, lambda: all(map(is_gone, family)))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob(RECORD)}
    assert len(kept) == 2
    matrix(tmp_path, ["Fine"])
    bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    "group", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["the runner alone", "its whole group"]
)
def test_nothing_outlives_a_killed_run_and_its_lock_is_not_stale(tmp_path: Path, group: bool) -> None:
    process = started(tmp_path)
    family = [*descendants(process), int((tmp_path / "child").read_text())]
    assert len(family) >= 3
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.communicate()
    assert within(30, lambda: all(map(is_gone, family)))
    with Store(tmp_path / "store").held():
        pass


@pytest.mark.slow
def test_a_guard_that_is_killed_is_replaced(tmp_path: Path) -> None:
    process = started(tmp_path)
    (guard,) = [one for one in psutil.Process(process.pid).children() if "guard.py" in " ".join(one.cmdline())]
    guard.kill()
    time.sleep(2)
    family = [*descendants(process), int((tmp_path / "child").read_text())]
    process.kill()
    process.communicate()
    assert within(30, lambda: all(map(is_gone, family)))


@pytest.mark.slow
def test_a_worker_that_outlives_its_run_and_its_guard_writes_nothing(tmp_path: Path) -> None:
    """By then another run may hold the store."""
    matrix(tmp_path, ["Patient"])
    process = subprocess.Popen([sys.executable, "-m", "bnnbench", "run"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert within(60, lambda: text_of(tmp_path / "child"))
    for one in [*psutil.Process(process.pid).children(), process]:
        if one is process or "guard.py" in " ".join(one.cmdline()):
            one.kill()
    process.wait()
    assert within(30, lambda: is_gone(int(text_of(tmp_path / "child"))))
    assert list((tmp_path / "store").rglob(RECORD)) == []


ONE_BY_ONE = """
import os, pathlib
from bnnbench import Attack, hookimpl

class Picky(Attack):
    '''Cannot bear one radius: raises, or ends its process.'''
    ends: bool = False
    def perturb(self, victim, x, y, threat, rng):
        if threat.epsilon == 0.1:
            if self.ends:
                os._exit(3)
            raise RuntimeError("not 0.1")
        return threat.uniform(x, rng)

class Filling(Attack):
    '''From now on the disk is full.'''
    def perturb(self, victim, x, y, threat, rng):
        from bnnbench.store import files
        def full(final, writer):
            raise OSError(28, "No space left on device")
        files.write_whole = full
        return x.clone()

@hookimpl
def bnnbench_register(registry):
    registry.attack("picky", Picky)
    registry.attack("filling", Filling)
"""


def test_what_fails_under_one_threat_fails_there_alone(tmp_path: Path) -> None:
    environment = install(tmp_path, ONE_BY_ONE, "picky")
    text = MATRIX.replace("[0.05]", "[0.05, 0.1, 0.2]").replace(
        "random: {use: random-sign}", "picky: {sweep: {ends: [false, true]}}"
    )
    text = f"{text}networks: {{fc: {{hidden: [4]}}}}\nlimits: {{retries: 0}}\n"
    light.written(tmp_path, text)
    done = bnnbench("run", folder=tmp_path, environment=environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "trying its 3 cells one by one" in done.stderr
    assert "[7/7]" in done.stderr
    found = {(row["attack"], row["epsilon"]): (row["status"], row["reason"]) for row in rows(tmp_path, environment)}
    fine = ("ok", "")
    assert found == {
        ("picky@ends=false", 0.05): fine,
        ("picky@ends=false", 0.1): ("failed", "RuntimeError: not 0.1"),
        ("picky@ends=false", 0.2): fine,
        ("picky@ends=true", 0.05): fine,
        ("picky@ends=true", 0.1): ("failed", "its process died (exit code 3)"),
        ("picky@ends=true", 0.2): fine,
    }


def test_a_full_disk_ends_the_run_and_what_was_kept_stays(tmp_path: Path) -> None:
    environment = install(tmp_path, ONE_BY_ONE, "picky")
    text = MATRIX.replace("random: {use: random-sign}", "random: {use: random-sign}, filling: , more: {use: fgsm}")
    light.written(tmp_path, f"{text}networks: {{fc: {{hidden: [4]}}}}\n")
    done = bnnbench("run", "-j", "1", folder=tmp_path, environment=environment)
    assert done.returncode == 2
    assert "store cannot be written to: no space left on device; what it holds is whole" in done.stderr
    assert "Traceback" not in done.stderr
    found = {row["attack"]: row["status"] for row in rows(tmp_path, environment)}
    assert found == {"random": "ok", "filling": "missing", "more": "missing"}


@pytest.mark.slow
def test_what_earlier_tasks_have_left_in_memory_is_nobodys_fault(tmp_path: Path) -> None:
    """Each task leaves 400 MiB behind: the third one in a process would exceed the limit, though not by itself."""
    names = [f"Keeps{number}" for number in range(4)]
    keeps = "    def happen(self):\n        torch.kept_{0} = torch.ones(100, 2**20)\n        time.sleep(1)\n"
    keeping = "".join(f"class {name}(Named):\n{keeps.format(name)}\n" for name in names)
    path = matrix(tmp_path, names, "limits: {memory: 1300MiB, retries: 0}")
    (tmp_path / "nets.py").write_text(f"{NETWORKS}\n{keeping}")
    results = bb.run(path, store=tmp_path / "store", jobs=1)
    assert [row["status"] for row in results.rows()] == ["ok"] * 4


def test_a_second_run_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    process = started(tmp_path)
    try:
        with pytest.raises(StoreError, match=f"is in use by process {process.pid} on .* run"):
            bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_hosts_processes_are_not_the_runs(tmp_path: Path) -> None:
    """A child of the host's own, and its environment, are as they were."""
    import sklearn  # noqa: F401 - it sets a variable when it is first imported

    before = dict(os.environ)
    own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert outcomes(tmp_path, ["Fine"])["fine"] == ("ok", "")
        assert own.poll() is None
        assert dict(os.environ) == before
    finally:
        own.kill()
        own.wait()
