"""Fidelity to a reference fit where it is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.measures.fidelity_figures import NAMES, total_variation
from hypothesis import given
from hypothesis import strategies as st
from known import random_ensemble
from scipy.special import expit

import bnnbench as bb
from bnnbench.core.rules.own_fits import identity_text
from bnnbench.measurements.measurement import measurement_of

IMAGES = 400


def linear(weights: np.ndarray, biases: np.ndarray | None = None) -> bb.Predictive:
    """An ensemble of linear classifiers; weights are (chains, draws, classes, inputs)."""
    classes, inputs = weights.shape[2:]
    biases = np.zeros(weights.shape[:3]) if biases is None else biases
    draws = bb.Draws({"weight": weights.astype("f4"), "bias": biases.astype("f4")})
    return bb.Predictive(torch.nn.Linear(inputs, classes), draws)


def of_step(place: float) -> bb.Predictive:
    """One draw over one input: log odds of the second class that rise as 4 (x - place)."""
    return linear(np.array([[[[0.0], [4.0]]]]), np.array([[[0.0, -4 * place]]]))


def points(*x: float, y: tuple[int, ...]) -> bb.Data:
    return bb.Data(test=(np.array(x, "f4")[:, None], np.array(y)), classes=2)


def of_corners() -> bb.Data:
    """The corners of a box of many inputs: the values of a random linear function there are independent."""
    return bb.Data(test=(np.eye(IMAGES, dtype="f4"), np.arange(IMAGES) % 2), classes=2)


def random_functions(seed: int, chains: int, draws: int) -> bb.Predictive:
    return linear(np.random.default_rng(seed).normal(size=(chains, draws, 2, IMAGES)))


def fidelity(
    own: bb.Predictive, reference: bb.Predictive, data: bb.Data, limit: int | None = None, **parameters: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The quantities and the figures of the measure."""
    measure = bb.measure("fidelity", reference="sgd", **parameters)
    threat = bb.Threat(epsilon=0.0, bounds=data.bounds)
    defence = bb.Defence(own, data, threat, images=len(data.test[1]), draws=limit, seed=0)
    defence.others[identity_text(bb.posterior("sgd"))] = reference
    measurement = measurement_of(measure)
    (values,) = measurement.run(defence, [], "few")
    return values, measurement.row(values)


def test_two_classifiers_of_which_all_is_known() -> None:
    """They disagree between 0.5 and 0.7, at two of the four points; labels are those of the first."""
    x, y = (0.1, 0.6, 0.65, 0.9), (0, 1, 1, 1)
    _, found = fidelity(of_step(0.5), of_step(0.7), points(*x, y=y))
    own, other = (expit(4 * (np.array(x) - place)) for place in (0.5, 0.7))
    assert (found["agreement"], found["clean_accuracy"], found["accuracy_difference"]) == (0.5, 1, 0.5)
    assert found["total_variation"] == pytest.approx(np.abs(own - other).mean(), abs=1e-6)
    losses = [-np.log(np.where(np.array(y) == 1, p, 1 - p)) for p in (own, other)]
    assert found["nll"] == pytest.approx(losses[0].mean(), abs=1e-5)
    assert found["nll_difference"] == pytest.approx((losses[0] - losses[1]).mean(), abs=1e-5)
    distance = np.hypot(np.log(own / other), np.log((1 - own) / (1 - other)))
    assert found["function_distance"] == pytest.approx(2 * distance.mean(), abs=1e-5), "of two point masses"
    for name in ("nll", "total_variation", "function_distance", "agreement", "accuracy_difference"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"], name
    absent = [name for name in NAMES if "floor" in name or "robust" in name or "zero" in name]
    assert [found[name] for name in absent] == [None] * len(absent), "one draw has no halves, and there is no attack"


def test_a_fit_agrees_with_itself() -> None:
    predictive = random_functions(0, 2, 10)
    predictive.fitted_by = bb.posterior("sgd")
    values, found = fidelity(predictive, predictive, of_corners())
    assert values["is_reference"]
    assert (found["agreement"], found["function_distance"]) == (1, 0)
    assert found["total_variation"] == pytest.approx(0, abs=1e-6)
    assert (found["nll_difference"], found["accuracy_difference"]) == (pytest.approx(0, abs=1e-6), 0)


def test_draws_of_one_distribution_are_as_far_apart_as_chance_says() -> None:
    """With a and b draws the difference of probabilities is normal with the variance s^2 (1/a + 1/b)."""
    values, found = fidelity(random_functions(1, 1, 100), random_functions(2, 4, 50), of_corners(), draws=60)
    spread = expit(math.sqrt(2) * np.random.default_rng(0).normal(size=100_000)).std()

    def expected(a: int, b: int) -> float:
        return float(spread * math.sqrt((1 / a + 1 / b) * 2 / math.pi))

    error = expected(100, 100) * math.sqrt(math.pi / 2 - 1) / math.sqrt(IMAGES)
    assert found["total_variation_floor"] == pytest.approx(expected(100, 100), abs=4 * error)
    assert found["total_variation"] == pytest.approx(expected(100, 200), abs=4 * error)
    for name in ("distance", "distance_floor"):
        assert abs(values[name].mean()) < 4 * values[name].std() / math.sqrt(IMAGES), name


def test_halves_are_chains_where_there_are_several() -> None:
    sides = np.array([[[2.0, 0.0]], [[0.0, 2.0]]])
    chains = linear(np.zeros((2, 3, 2, 1)), np.repeat(sides, 3, axis=1))
    data = points(0.1, 0.9, y=(0, 1))
    _, found = fidelity(chains, chains, data)
    assert found["agreement_floor"] == 0
    assert found["total_variation_floor"] == pytest.approx(2 * expit(2.0) - 1, abs=1e-6)
    mixed = linear(np.zeros((1, 6, 2, 1)), np.tile(sides, (1, 3, 1)).reshape(2, 3, 2).swapaxes(0, 1).reshape(1, 6, 2))
    _, found = fidelity(mixed, mixed, data)
    assert found["total_variation_floor"] == pytest.approx((2 * expit(2.0) - 1) / 3, abs=1e-6), "2 to 1 and 1 to 2"


def test_both_are_attacked_as_their_own_rows_would_be() -> None:
    own, reference = random_ensemble(draws=6, seed=1), random_ensemble(draws=9, seed=2, scale=1.3)
    generator = np.random.default_rng(0)
    data = bb.Data(test=(generator.random((80, 5)), generator.integers(0, 3, 80)), classes=3)
    attack = bb.attack("pgd", steps=4)
    values, found = fidelity(own, reference, data, 5, attack=attack, epsilon=0.03)
    outcomes = [bb.evaluate(one, attack, data, epsilon=0.03, images=80, draws=5, seed=0) for one in (own, reference)]
    assert (values["robust"] == outcomes[0].robust).all()
    assert (values["reference_robust"] == outcomes[1].robust).all()
    assert found["own_robust_accuracy"] == outcomes[0].robust_accuracy
    assert found["robust_difference"] == pytest.approx(outcomes[0].robust_accuracy - outcomes[1].robust_accuracy)
    assert found["robust_difference_low"] < found["robust_difference"] < found["robust_difference_high"]
    assert found["zero_direction_share"] == 0
    wide, _ = fidelity(own, reference, data, 5, attack=attack, epsilon=0.03, norm="l2")
    assert (wide["robust"] >= values["robust"]).all()
    assert wide["robust"].sum() > values["robust"].sum()


def test_an_attack_without_a_direction_is_told() -> None:
    flat = linear(np.zeros((1, 2, 2, 1)), np.array([[[0.0, 1.0], [0.0, 2.0]]]))
    values, found = fidelity(flat, of_step(0.5), points(0.1, 0.9, y=(1, 1)), attack="fgsm", epsilon=0.05)
    assert found["zero_direction_share"] == 1
    lines = bb.measure("fidelity", reference="sgd", attack="fgsm").remarks({"flat": {0: values}})
    assert "flat: the attack's direction was zero at some images: its robust accuracy is no evidence" in lines


def test_remarks_tell_the_floor_and_the_order_of_posteriors() -> None:
    """The reference is a step at 0.5; the further a step is from it, the more of the points are wrong."""
    x = np.linspace(0.01, 0.99, 99)
    data = points(*x, y=tuple((x > 0.5).astype(int)))
    reference = linear(np.tile([[[[0.0], [4.0]]]], (2, 1, 1, 1)), np.tile([[[0.0, -2.0]]], (2, 1, 1)))
    measured = {
        f"at-{place}": {0: fidelity(of_step(place), reference, data, attack="fgsm", epsilon=0.02)[0]}
        for place in (0.5, 0.7, 0.9)
    }
    lines = bb.measure("fidelity", reference="sgd", attack="fgsm", epsilon=0.02).remarks(measured)
    assert lines[0].startswith("two halves of the reference: agreement 1.000, total variation 0")
    assert (
        lines[1]
        == "robust accuracy: under FastGradientSign in the linf ball of radius 0.02; that of the reference is 0.960"
    )
    assert "Of 3 pairs of posteriors 3 say yes and 0 no" in lines[2]
    assert "Kendall's tau is +1.00, in [1.00, 1.00]" in lines[2]
    assert "posteriors tau is as far from 0 by chance with a probability of 0.33" in lines[2]
    assert len(bb.measure("fidelity", reference="sgd").remarks(measured)) == 1


simplexes = st.integers(2, 6).flatmap(
    lambda size: st.lists(st.lists(st.floats(-30, 0), min_size=size, max_size=size), min_size=3, max_size=3)
)


@given(simplexes)
def test_total_variation_is_a_distance_of_at_most_one(scores: list[list[float]]) -> None:
    a, b, c = (row - np.logaddexp.reduce(row) for row in np.array(scores)[:, None])

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(total_variation(one, other)[0])

    assert 0 <= apart(a, b) <= 1
    assert apart(a, b) == apart(b, a)
    assert apart(a, a) == 0
    assert apart(a, c) <= apart(a, b) + apart(b, c) + 1e-12
