"""The script of the documentation runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bnnbench as bb

SCRIPT = Path(__file__).parents[2] / "docs" / "embedding.py"


def test_the_embedding_script_runs_with_fewer_draws(capsys: pytest.CaptureFixture[str]) -> None:
    text, few = SCRIPT.read_text(), "draws=4, warmup=4, max_tree_depth=2"
    many = "draws=50, warmup=50, max_tree_depth=5"
    assert text.count(many) == 1
    with torch.random.fork_rng(devices=[]):
        exec(compile(text.replace(many, few), str(SCRIPT), "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "4 draws from 1 chain(s)" in printed
    assert printed.count("robust") >= 4


@pytest.mark.slow
def test_the_embedding_script_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "50 draws from 1 chain(s)" in done.stdout
    assert done.stdout.count("robust") >= 4


def test_importing_costs_no_framework() -> None:
    code = (
        "import sys, bnnbench as bb; bb.Attack, bb.Posterior, bb.Draws, bb.Threat, bb.Predictive;"
        "from bnnbench.plugins.installed import registry; [entry.load() for entry in registry().entries];"
        "print([name for name in ('torch', 'jax', 'pyro', 'numpyro', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for name in bb.__all__:
        assert getattr(bb, name) is not None
    assert set(bb.__all__) <= set(dir(bb))


def test_in_continuous_integration_the_installed_package_is_tested() -> None:
    if os.environ.get("CI"):
        assert Path(bb.__file__).is_relative_to(sys.prefix)
