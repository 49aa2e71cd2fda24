"""A task that fails or dies disturbs no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import light
import pytest
from commands import called
from dying_networks import MATRIX, NETWORKS, matrix
from waiting import is_gone

import bnnbench as bb
from bnnbench.running import preflight


@pytest.fixture
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is built before the fits, where each that dies or hangs would do so once more."""
    monkeypatch.setattr(preflight, "RUN", preflight.Patience(0.0, 0.0))


def outcomes(folder: Path, names: list[str], more: str = "") -> dict[str, tuple[str, str]]:
    results = bb.run(matrix(folder, names, more), store=folder / "store")
    return {row["network"]: (row["status"], row["reason"]) for row in results.rows()}


@pytest.mark.usefixtures("_unchecked")
def test_what_dies_or_meets_a_limit_dies_alone_with_its_reason_and_its_children(tmp_path: Path) -> None:
    """One that meets the limit of time keeps one worker busy, while the others die in the other one."""
    names = ["Hides", "Hungry", "Leaves", "CrashesOnce", "Segfaults", "Fails", "Exits", "Aborts", "Fine"]
    found = outcomes(tmp_path, names, "limits: {fit: 20s, memory: 1500MiB}")
    assert found["fine"] == found["crashesonce"] == ("ok", "")
    assert {name: reason for name, (status, reason) in found.items() if status == "skipped"} == {
        "hides": "its fit timed out: stopped after its limit of 20 s",
        "hungry": "its fit failed: its process used more than limits.memory, which is 1500 MiB",
        "leaves": "its fit failed: its process died (exit code 0) 2 times",
        "segfaults": "its fit failed: its process died (SIGSEGV) 2 times",
        "exits": "its fit failed: SystemExit: goodbye",
        "aborts": "its fit failed: Abort: enough",
        "fails": "its fit failed: RuntimeError: on purpose and ?[31mred",
    }
    assert is_gone(int((tmp_path / "child").read_text()))


ONE_BY_ONE = """
import os
from bnnbench import Attack

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
"""


def one_by_one(folder: Path, text: str) -> None:
    """A benchmarks file of this text, with its attacks and one network."""
    (folder / "picky.py").write_text(ONE_BY_ONE)
    light.written(folder, f"{text}networks: {{fc: {{hidden: [4]}}}}\n")


def reported(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(called("report", "--format", "json", folder=folder).stdout)
    return rows


def test_what_fails_under_one_threat_fails_there_alone(tmp_path: Path) -> None:
    text = MATRIX.replace("[0.05]", "[0.05, 0.1, 0.2]").replace(
        "random: {use: random-sign}", "picky: {use: 'picky.py:Picky', sweep: {ends: [false, true]}}"
    )
    one_by_one(tmp_path, f"{text}limits: {{retries: 0}}\n")
    done = called("run", "-j", "1", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "trying its 3 cells one by one" in done.stderr
    assert "[7/7]" in done.stderr
    found = {(row["attack"], row["epsilon"]): (row["status"], row["reason"]) for row in reported(tmp_path)}
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
    attacks = "random: {use: random-sign}, filling: {use: 'picky.py:Filling'}, more: {use: fgsm}"
    one_by_one(tmp_path, MATRIX.replace("random: {use: random-sign}", attacks))
    done = called("run", "-j", "1", folder=tmp_path)
    assert done.returncode == 2
    assert "store cannot be written to: no space left on device; what it holds is whole" in done.stderr
    assert "Traceback" not in done.stderr
    found = {row["attack"]: row["status"] for row in reported(tmp_path)}
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
