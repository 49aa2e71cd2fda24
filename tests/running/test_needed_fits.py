"""Fits that other fits are made of, and that measures compare with: made once, before what needs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import called

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors:
  mean: {use: mean-network, of: counted}
  one: {use: one-draw, of: {use: 'counted.py:Counted', draws: 6, chains: 3}}
  counted: {use: 'counted.py:Counted', draws: 6, chains: 3}
attacks: {fgsm: }
measures: {distance: {use: 'counted.py:Distance', reference: counted}}
"""
COUNTED = '''
import pathlib
import numpy as np
import bnnbench as bb

class Counted(bb.NormalPrior, bb.IndependentChains):
    """Random weights; it fails until a file says otherwise; each call leaves a mark."""

    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress):
        with open("calls", "a") as file:
            file.write("x")
        if pathlib.Path("failing").exists():
            raise RuntimeError("on purpose")
        generator = np.random.default_rng([seed, chain])
        return bb.Draws({name: generator.normal(size=(1, self.per_chain, *weight.shape)).astype("f4")
                         for name, weight in network.state_dict().items()})

class Distance(bb.Measure):
    """The distance between the clean predictions of a fit and those of another."""

    quantities = (bb.Quantity("distance", (), "float", "", "The largest difference of probabilities."),)
    figure_names = ("distance",)
    reference: bb.PosteriorParameter = Counted()

    def measure(self, defence):
        other = defence.fitted(self.reference).log_probs(defence.sample.x).exp()
        own = defence.predictive.log_probs(defence.sample.x).exp()
        return {"distance": float((own - other).abs().max())}

    def figures(self, values):
        return {"distance": values["distance"]}
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import light

    light.written(tmp_path, FILE)
    (tmp_path / "counted.py").write_text(COUNTED)
    return tmp_path


def test_each_needed_fit_is_made_once_and_first(folder: Path) -> None:
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    names = [type(fit.posterior).__name__ for fit in plan.fits.values()]
    assert names == ["Counted", "MeanNetwork", "OneDraw"]
    schedule = Schedule(plan, Store(folder / "store"))
    assert {task.part for task in schedule.ready} == {0, 1, 2}, "the chains come first, and nothing else is ready"


@pytest.mark.integration
def test_a_run_shares_fits_and_gives_what_programs_get(folder: Path) -> None:
    done = called("run", "-j", "0", folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "calls").read_text() == "xxx"
    rows = json.loads(called("report", "--format", "json", folder=folder).stdout)
    assert {row["status"] for row in rows} == {"ok"}
    distances = {row["posterior"]: row["distance"] for row in rows if "distance" in row and row["distance"] is not None}
    assert distances["counted"] == 0
    assert distances["mean"] > 0
    (folder / "calls").unlink()
    assert called("run", "-j", "0", folder=folder).returncode == 0
    assert not (folder / "calls").exists(), "nothing is fitted again"


@pytest.mark.integration
def test_what_needs_a_failed_fit_says_so_and_is_done_when_that_is_mended(folder: Path) -> None:
    (folder / "failing").touch()
    done = called("run", "-j", "0", folder=folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = json.loads(called("report", "--format", "json", folder=folder).stdout)
    reasons = {row["posterior"]: row["reason"] for row in rows}
    assert "chain 1: RuntimeError: on purpose" in reasons["counted"]
    assert "the fit that is needed, Counted" in reasons["mean"]
    assert "on purpose" in reasons["mean"]
    (folder / "failing").unlink()
    done = called("run", "-j", "0", folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.integration
def test_a_needed_fit_without_a_row_has_a_name_and_a_line_in_plan(folder: Path) -> None:
    text = "\n".join(line for line in FILE.splitlines() if not line.startswith("  counted:"))
    text = text.replace("of: counted", "of: {use: 'counted.py:Counted', draws: 8}").replace(", reference: counted", "")
    (folder / "benchmarks.yaml").write_text(text)
    lines = called("plan", folder=folder).stdout.splitlines()
    assert "  Counted, for mean, on points (fc): to fit" in lines
    done = called("run", "-j", "0", folder=folder)
    assert done.returncode == 0, done.stderr


def test_a_measure_fits_what_it_needs_in_a_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    (cell,) = [cell for cell in plan.cells if cell.kind == "measure" and cell.posterior == "counted"]
    data = cell.fit.dataset.load(0)
    network = cell.fit.network.build(data)
    predictive = bb.fit(cell.fit.posterior, network, data, seed=0)
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0), images=20, draws=None, seed=0)
    assert cell.component.measure(defence) == {"distance": 0.0}
