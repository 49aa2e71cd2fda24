"""A task that fails or dies disturbs no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import light
import pytest
from dying_networks import MATRIX, NETWORKS, matrix
from plugged import bnnbench, install, rows
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


@pytest.mark.usefixtures("_unchecked")
def test_what_meets_a_limit_dies_alone_with_its_children(tmp_path: Path) -> None:
    found = outcomes(tmp_path, ["Hides", "Hungry", "Fine"], "limits: {fit: 20s, memory: 1500MiB, retries: 0}")
    assert found["fine"] == ("ok", "")
    assert found["hides"] == ("skipped", "its fit timed out: stopped after its limit of 20 s")
    assert found["hungry"] == (
        "skipped",
        "its fit failed: its process used more than limits.memory, which is 1500 MiB",
    )
    assert is_gone(int((tmp_path / "child").read_text()))


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
