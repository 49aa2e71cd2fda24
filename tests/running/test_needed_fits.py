"""Fits that other fits are made of, and that measures compare with: made once, before what needs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import called

import bnnbench as bb
from bnnbench.core.draws_file import write_draws
from bnnbench.evidence.about_draws import NEEDED
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.schedule import Schedule
from bnnbench.store.records import changed
from bnnbench.store.store import CELLS, DRAWS, FITS, Store

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


@pytest.mark.parametrize("reference_is_a_row", [True, False])
def test_each_task_is_done_once_and_behind_what_it_needs(folder: Path, reference_is_a_row: bool) -> None:
    """The reference stands behind a row that is compared with it, and is compared with itself."""
    text = FILE.replace("  mean: {use: mean-network, of: counted}\n", "  sgd: {}\n")
    if not reference_is_a_row:
        text = text.replace("  counted: {use: 'counted.py:Counted', draws: 6, chains: 3}\n", "")
        text = text.replace("reference: counted", "reference: {use: 'counted.py:Counted', draws: 8}")
    (folder / "benchmarks.yaml").write_text(text)
    schedule = Schedule(make_plan(read_config(folder / "benchmarks.yaml")), Store(folder / "store"))
    waiting, done = list(schedule.ready), set[tuple[str, str]]()
    order = []
    while waiting:
        task = waiting.pop()
        assert set(task.needs) <= done, f"{task.name} came too early"
        done.update(task.kept)
        order.append(task.key)
        waiting += schedule.after(task, ok=True)[0]
    assert sorted(order) == sorted(task.key for task in schedule.tasks)


@pytest.mark.integration
@pytest.mark.parametrize("lost", [True, False])
def test_what_was_made_of_other_draws_is_made_again(folder: Path, lost: bool) -> None:
    """As where a fit was lost and came out otherwise on another computer, or was loaded from there."""
    assert called("run", "-j", "0", folder=folder).returncode == 0
    store = Store(folder / "store")
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    counted, *made_of_it = plan.fits.values()
    record = store.record(FITS, counted.key)
    assert record is not None
    draws = store.draws(FITS, counted.key, record)
    # The record states what the first draw predicts.
    others = bb.Draws({name: np.concatenate([array[:1], array[1:] + 1]) for name, array in draws.arrays.items()})
    with store.held():
        if lost:  # The next run makes the same draws as before, and finds nothing to do beside that.
            store.remove(FITS, counted.key)
        else:
            store.write(FITS, counted.key, changed(record), {DRAWS: lambda path: write_draws(path, others)})
            reasons = {row["reason"] for row in bb.results(folder / "benchmarks.yaml", folder / "store").rows()}
            assert reasons == {
                "its fit was computed anew since, and has other draws",
                "what its fit is made of has other draws since: the next run fits it anew",
            }
    before = [store.record(FITS, fit.key) for fit in made_of_it]
    assert called("run", "-j", "0", folder=folder).returncode == 0
    assert [store.record(FITS, fit.key) == old for fit, old in zip(made_of_it, before, strict=True)] == [lost, lost]
    assert {row["status"] for row in bb.results(folder / "benchmarks.yaml", folder / "store").rows()} == {"ok"}


@pytest.mark.integration
def test_a_cell_that_compared_with_other_draws_is_computed_again(folder: Path) -> None:
    """Its own fit is the same; what it compares with has other draws, in the store or made by the run."""
    text = FILE.replace("  mean: {use: mean-network, of: counted}\n", "  sgd: {}\n").replace("  one: {", "  # {")
    (folder / "benchmarks.yaml").write_text(text)
    assert called("run", "-j", "0", folder=folder).returncode == 0
    store, plan = Store(folder / "store"), make_plan(read_config(folder / "benchmarks.yaml"))
    (compared,) = [cell for cell in plan.cells if cell.posterior == "sgd" and cell.label == "distance"]
    before = store.record(CELLS, compared.key)
    assert before is not None
    with store.held():
        ((key, _),) = before[NEEDED].items()
        store.remove(FITS, key)
        arrays = store.arrays(CELLS, compared.key, before)
        store.write_arrays(CELLS, compared.key, changed(before, **{NEEDED: {key: "0" * 64}}), arrays)
    assert called("run", "-j", "0", folder=folder).returncode == 0
    after = store.record(CELLS, compared.key)
    assert after is not None
    assert after[NEEDED] == before[NEEDED]


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
