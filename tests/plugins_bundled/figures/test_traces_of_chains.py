"""The figure `traces`: what it draws of stored traces, from a run to a picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from light import written

import bnnbench as bb
from bnnbench.store.layout import TRACES

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors:
  chains: {use: 'light.py:Chains', draws: 20, chains: 2}
  fixed: {use: 'light.py:Fixed'}
attacks: {random: {use: random-sign}}
"""


def results_of(traces: dict[str, np.ndarray], seeds: tuple[int, ...] = (0,), thinned: int = 1) -> SimpleNamespace:
    """Results of one fit at each seed, all with these traces, for which one of `thinned` draws was kept."""
    fits = {f"key-{seed}": SimpleNamespace(key=f"key-{seed}", seed=seed) for seed in seeds}
    cells = [
        SimpleNamespace(dataset="moons", network="fc", posterior="hmc", fit=fit) for fit in fits.values() for _ in "ab"
    ]
    plan = SimpleNamespace(fits=fits, cells=cells)
    chains, draws = next(iter(traces.values()), np.zeros((1, 1))).shape
    card = {"level": "short", "why": "R-hat 1.314 of a, ESS 11", "chains": chains, "draws": chains * draws * thinned}
    return SimpleNamespace(plan=plan, traces=lambda fit: traces, card=lambda fit: card)


def test_values_are_in_standard_deviations_around_the_mean_of_all_chains() -> None:
    traces = {"a": np.array([[0, 2], [4, 6]], "f4"), "b": np.full((2, 2), 7, "f4")}
    (picture,) = bb.figure("traces").pictures(results_of(traces))
    assert picture.name == "moons-fc-hmc"
    assert [panel.title for panel in picture.panels] == ["a", "b"]
    first, second = picture.panels[0].series
    assert (first.label, second.label) == ("chain 1", "chain 2")
    assert first.x == second.x == (1, 2)
    scale = np.sqrt(5)  # of 0, 2, 4, 6, whose mean is 3
    assert (first.y, second.y) == (pytest.approx((-3 / scale, -1 / scale)), pytest.approx((1 / scale, 3 / scale)))
    assert {y for one in picture.panels[1].series for y in one.y} == {0}
    assert picture.y.low < -3 / scale
    assert picture.y.high > 3 / scale
    assert picture.caption.endswith("The posterior is short: R-hat 1.314 of a, ESS 11.")


def test_of_many_chains_and_draws_some_are_drawn() -> None:
    values = np.arange(40 * 3000, dtype="f4").reshape(40, 3000)
    (picture,) = bb.figure("traces", chains=3).pictures(results_of({"a": values}, thinned=2))
    series = picture.panels[0].series
    assert [one.label for one in series] == ["chain 1", "chain 21", "chain 40"]
    assert (len(series[0].x), series[0].x[0], series[0].x[-1]) == (250, 1, 6000)
    assert "3 of 40 chains are drawn." in picture.caption


def test_each_seed_has_a_picture_of_its_own() -> None:
    drawn = bb.figure("traces").pictures(results_of({"a": np.eye(3, dtype="f4")}, seeds=(0, 1)))
    assert [picture.name for picture in drawn] == ["moons-fc-hmc-seed 0", "moons-fc-hmc-seed 1"]


def test_without_traces_there_is_nothing_to_draw() -> None:
    with pytest.raises(bb.NotApplicable, match="no fit has traces"):
        bb.figure("traces").pictures(results_of({}))


@pytest.mark.integration
def test_a_run_keeps_the_traces_of_judged_chains_alone(tmp_path: Path) -> None:
    file = written(tmp_path, FILE)
    results = bb.run(file, store=tmp_path / "store", jobs=0)
    fits = {cell.spec.posterior: cell.spec.fit for cell in results.cells}
    kept = results.traces(fits["chains"])
    assert next(iter(kept)) == results.card(fits["chains"])["worst"]
    assert {values.shape for values in kept.values()} == {(2, 10)}
    assert results.traces(fits["fixed"]) == {}
    (picture,) = bb.figure("traces").pictures(results)
    assert picture.name == "points-fc-chains"
    # A damaged file is not drawn, and nothing else of the fit is lost.
    (tmp_path / "store/fits" / fits["chains"].key / TRACES).write_bytes(b"nothing")
    assert bb.results(file, tmp_path / "store").traces(fits["chains"]) == {}
