"""Chains of one fit: those that are there are not sampled again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import called

pytestmark = pytest.mark.integration

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 30}}
networks: {fc: {hidden: [4]}}
posteriors: {counted: {use: 'counted.py:Counted', draws: 6, chains: 3}}
attacks: {fgsm: }
"""

COUNTED = '''
import pathlib
import numpy as np
import bnnbench as bb

class Counted(bb.NormalPrior, bb.IndependentChains):
    """Random weights; chain 1 fails until a file says otherwise; each call leaves a mark."""

    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress):
        with open(f"calls-{chain}", "a") as file:
            file.write("x")
        if chain == 1 and not pathlib.Path("mended").exists():
            raise RuntimeError("on purpose")
        generator = np.random.default_rng([seed, chain])
        return bb.Draws(
            {name: generator.normal(size=(1, self.per_chain, *weight.shape)).astype("f4")
             for name, weight in network.state_dict().items()},
            diagnostics={"gradients": 5, "acceptance": np.full((1, self.per_chain), 0.5)},
        )
'''


def test_a_chain_that_fails_fails_the_fit_and_the_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "counted.py").write_text(COUNTED)
    calls = [tmp_path / f"calls-{number}" for number in range(3)]
    done = called("run", "-j", "0", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "chain 2 of 3: failed" in done.stderr
    (row,) = json.loads(called("report", "--format", "json", folder=tmp_path).stdout)
    assert row["status"] == "skipped"
    assert row["reason"] == "its fit failed: chain 2: RuntimeError: on purpose"
    assert [path.read_text() for path in calls] == ["x", "x", "x"]
    planned = called("plan", folder=tmp_path).stdout
    assert "counted on moons (fc): failed; 2 of 3 chains and 0 of 1 cell done" in planned

    (tmp_path / "mended").touch()
    done = called("run", "-j", "0", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in calls] == ["x", "xx", "x"]
    (row,) = json.loads(called("report", "--format", "json", folder=tmp_path).stdout)
    assert row["status"] == "ok"
    assert not list((tmp_path / "store" / "chains").iterdir())


def test_chains_are_sampled_anew_if_asked(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "mended").touch()
    (tmp_path / "counted.py").write_text(COUNTED)
    for arguments in ([], ["--fresh"]):
        done = called("run", "-j", "0", *arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"calls-{number}").read_text() for number in range(3)] == ["xx"] * 3
