"""Runs in worker processes have the outcomes of runs in the calling process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from light import MATRIX, written

import bnnbench as bb
from bnnbench.report.formats import to_json


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_results_do_not_depend_on_the_workers(jobs: int, tmp_path: Path) -> None:
    path = written(tmp_path, MATRIX)
    here = bb.run(path, store=tmp_path / "here", jobs=0)
    there = bb.run(path, store=tmp_path / "there", jobs=jobs)
    assert here.complete
    assert to_json(there) == to_json(here)


def test_a_script_without_a_main_guard_can_run_a_matrix(tmp_path: Path) -> None:
    written(tmp_path, MATRIX)
    script = tmp_path / "script.py"
    script.write_text("import bnnbench as bb\nprint(len(bb.run('benchmarks.yaml', jobs=1, only=['fixed']).frame()))\n")
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
