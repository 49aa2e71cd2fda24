"""No process of a run outlives the run, however it ends, and no two runs share a store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from dying_networks import matrix
from waiting import is_gone, text_of, within

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.store.store import RECORD, Store

COMMAND = """
import sys
from bnnbench.cli import main
from bnnbench.running import preflight
preflight.RUN = preflight.Patience(0.0, 0.0)  # No network is built before the fits: one that hangs would do so twice.
sys.argv[0] = "bnnbench"
main()
"""
INTERRUPTIBLE = f"""
import os, signal, sys

# A shell starts what it puts into the background with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-c", {COMMAND!r}, *sys.argv[1:]])
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


def test_a_second_run_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    process = started(tmp_path)
    try:
        with pytest.raises(StoreError, match=f"is in use by process {process.pid} on .* run"):
            bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store")
    finally:
        process.terminate()
        process.communicate(timeout=30)
