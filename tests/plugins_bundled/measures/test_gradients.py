"""The gradients of draws and their average, where both are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.measures import averaging, gradients
from known import random_ensemble, random_inputs
from known_gradients import autoregressive, planted

import bnnbench as bb
from bnnbench.measurements.measurement import measurement_of


def measured(
    predictive: bb.Predictive, data: bb.Data, *, draws: int | None = None, **parameters: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The quantities and figures of the measure."""
    measurement = measurement_of(bb.measure("gradients", **parameters))
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0, bounds=(0, 1)), images=50, draws=draws, seed=0)
    (values,) = measurement.run(defence, [], "few")
    return values, measurement.row(values)


def test_independent_gradients_without_a_mean_have_the_norm_of_averaging() -> None:
    each = np.random.default_rng(0).normal(size=(60, 30))
    values, figures = measured(*planted(each))
    assert figures["gradient_norm"] == pytest.approx(np.linalg.norm(each.mean(0)))
    assert figures["gradient_null"] == pytest.approx(np.sqrt((each**2).sum()) / 60)
    assert figures["gradient_norm"] == pytest.approx(figures["gradient_null"], rel=0.3)
    assert figures["single_norm"] == pytest.approx(np.sqrt((each**2).sum(-1).mean()))
    pairs = (each @ each.T)[~np.eye(60, dtype=bool)]
    assert figures["plateau"] == pytest.approx(pairs.mean())
    assert figures["plateau_low"] < 0 < figures["plateau_high"]
    assert values["gram"] == pytest.approx(each @ each.T, abs=1e-5)


def test_a_common_mean_is_a_plateau_of_its_squared_norm() -> None:
    mean = np.random.default_rng(1).normal(size=20)
    _, same = measured(*planted(np.tile(mean, (10, 1))))
    for name in ("plateau", "plateau_low", "plateau_high"):
        assert same[name] == pytest.approx(mean @ mean)
    noise = np.random.default_rng(2).normal(size=(80, 20))
    _, noisy = measured(*planted(mean + noise))
    assert 0 < noisy["plateau_low"] < mean @ mean < noisy["plateau_high"]
    assert noisy["gradient_norm"] > 3 * noisy["gradient_null"]


def test_the_norms_of_fewer_draws_are_those_of_draws_spread_over_the_chain() -> None:
    each = np.random.default_rng(3).normal(size=(12, 5))
    values, _ = measured(*planted(each))
    assert values["count"].tolist() == [1, 2, 5, 10, 12]
    order = averaging.prefix_order(12)
    assert sorted(order) == list(range(12))
    assert order[:4] == [0, 8, 4, 2]
    for column, count in enumerate(values["count"]):
        assert values["norm"][:, column] == pytest.approx(np.linalg.norm(each[order[:count]].mean(0)))
    assert averaging.counts_up_to(1) == [1]
    assert averaging.counts_up_to(50) == [1, 2, 5, 10, 20, 50]


@pytest.mark.parametrize("objective", ["expected-loss", "log-margin"])
def test_gradients_are_those_of_autograd_whatever_is_held_at_a_time(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictive, (x, y) = random_ensemble(draws=4), random_inputs()
    data = bb.Data(test=(x, y))
    leaf = x.clone().requires_grad_()
    each = []
    for draw in range(4):
        value = bb.objective(objective).value(predictive.logits(leaf, [draw]).log_softmax(-1), y)
        each.append(torch.autograd.grad(value.sum(), leaf)[0].numpy())
    whole, _ = measured(predictive, data, objective=objective)
    assert whole["square"] == pytest.approx(_in_order(each, whole["index"]))
    monkeypatch.setattr(gradients, "HELD", 1)
    parts, _ = measured(predictive, data, objective=objective)
    for name in ("norm", "square", "gram"):
        assert parts[name] == pytest.approx(whole[name])


def _in_order(each: list[np.ndarray], index: np.ndarray) -> np.ndarray:
    """The mean over draws of the squared norms of gradients, at positions of the test set."""
    return np.asarray((np.stack(each) ** 2).sum(-1).mean(0)[index])


def test_draws_of_chains_count_as_their_effective_number() -> None:
    each = autoregressive(4, 150, 25, 0.9)
    values, figures = measured(*planted(each, chains=4))
    assert figures["effective_draws"] == pytest.approx(600 * 0.1 / 1.9, rel=0.4)
    assert figures["gradient_null"] == pytest.approx(np.sqrt((each**2).sum(-1).mean() / figures["effective_draws"]))
    assert figures["plateau_low"] < 0 < figures["plateau_high"]
    # Taken as independent, the same draws would seem to have a mean.
    naive = bb.measure("gradients").figures(values | {"effective": 600.0})
    assert naive["plateau_low"] is not None
    assert naive["plateau_low"] > 0


def test_one_chain_is_cut_into_halves_and_a_short_one_is_taken_as_independent() -> None:
    _, long = measured(*planted(autoregressive(1, 400, 10, 0.8), chains=1))
    assert long["effective_draws"] == pytest.approx(400 * 0.2 / 1.8, rel=0.5)
    each = autoregressive(2, 7, 10, 0.8)
    _, short = measured(*planted(each, chains=2))
    assert short["effective_draws"] is None
    assert short["gradient_null"] == pytest.approx(np.sqrt((each**2).sum()) / 14)


def test_draws_that_are_known_to_be_independent_count_in_full() -> None:
    data = bb.dataset("half-moons", train_size=40, test_size=20).load(seed=0)
    network = bb.network("fc", hidden=(6,)).build(data)
    predictive = bb.fit(bb.posterior("bayes-by-backprop", epochs=2, draws=6), network, data, seed=0)
    assert measured(predictive, data)[1]["effective_draws"] == 6
    assert measured(predictive, data, draws=3)[1]["effective_draws"] == 3


def test_one_draw_has_no_plateau_and_two_have_no_interval() -> None:
    each = np.random.default_rng(4).normal(size=(2, 3))
    _, one = measured(*planted(each[:1]))
    assert (one["plateau"], one["effective_draws"]) == (None, 1)
    assert one["gradient_norm"] == pytest.approx(one["gradient_null"])
    _, two = measured(*planted(each))
    assert two["plateau"] == pytest.approx(each[0] @ each[1])
    assert two["plateau_low"] is None


def test_gradients_that_are_exactly_zero_are_counted() -> None:
    values, figures = measured(*planted(np.zeros((3, 4))))
    assert figures["zero_share"] == 1
    assert not values["gram"].any()
    assert measured(*planted(np.ones((3, 4))))[1]["zero_share"] == 0


@pytest.mark.parametrize(("draws", "inputs"), [(5, 1), (5, 100), (10, 3), (40, 2), (40, 100)])
def test_the_interval_of_gradients_without_a_mean_leaves_out_zero_seldom(draws: int, inputs: int) -> None:
    """At most 2.5% of the cases on each side; with 600 cases, 4.2% is three standard errors above that."""
    generator = np.random.default_rng(5)
    below = above = 0
    for _ in range(600):
        each = generator.normal(size=(draws, inputs))
        gram = each @ each.T
        square, average = np.diag(gram).mean(keepdims=True), np.sqrt(gram.mean(keepdims=True))[0]
        middle = averaging.plateau(average**2, square, draws)[0]
        half = gradients.Z * averaging.error_over_draws(gram, draws)
        below += middle + half < 0
        above += middle - half > 0
    assert below <= 25
    assert above <= 25
