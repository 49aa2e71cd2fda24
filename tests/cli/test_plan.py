"""What `bnnbench plan` finds out in a process of its own, and what a run does about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import light
import pytest
from commands import called

pytestmark = pytest.mark.integration

NETS = """
import ctypes
from torch import nn

def good(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2))

def crashing():
    ctypes.string_at(0)
"""
FILE = """\
epsilons: [0.1]
evaluate: {images: 10}
datasets: {points: {use: 'light.py:Points'}}
networks: {good: {use: 'nets.py:good'}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks: {fgsm: }
limits: {retries: 0}
"""
BAD = """{
  good: {use: 'nets.py:good'},
  bad: {use: 'nets.py:good', widht: 3},
  crashing: {use: 'nets.py:crashing'}}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    light.written(tmp_path, FILE)
    return tmp_path


def test_what_would_fail_is_told_with_its_line_and_exit_2(folder: Path) -> None:
    (folder / "benchmarks.yaml").write_text(FILE.replace("{good: {use: 'nets.py:good'}}", BAD))
    done = called("plan", folder=folder, columns=120)
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == "3 fits and 3 cells"
    assert done.stderr.splitlines() == [
        f"benchmarks.yaml:6:8: networks.bad on points: {folder}/nets.py:good (line 5) has no argument 'widht'; did you "
        "mean 'width'?",
        "benchmarks.yaml:7:13: networks.crashing on points: cannot be built and called: its process died (SIGSEGV)",
    ]
    quick = called("plan", "--quick", folder=folder, columns=120)
    assert (quick.returncode, quick.stderr) == (0, "")
    assert not (folder / "store").exists()
    ran = called("run", "-j", "1", folder=folder, columns=120)
    assert ran.returncode == 1
    assert "building and calling each network once, before the first fit" in ran.stderr
    assert "will fail: networks.bad on points" in ran.stderr
    assert "has no argument 'widht'" in ran.stdout
    good = called("report", "--format", "json", folder=folder).stdout
    assert good.count('"status": "ok"') == 1


def test_a_quick_plan_starts_no_process_and_imports_no_framework(folder: Path) -> None:
    code = (
        "import sys, multiprocessing.util\n"
        "def refuse(*_, **__): raise AssertionError('a process is started')\n"
        "multiprocessing.util.spawnv_passfds = refuse\n"
        "from bnnbench.cli.app import run_app\n"
        "sys.argv = ['bnnbench', 'plan', '--quick']\n"
        "assert run_app() == 0\n"
        "print([name for name in ('torch', 'jax', 'pyro') if name in sys.modules], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
