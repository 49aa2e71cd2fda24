"""What the core holds every plugin to."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import torch
from known import linear_predictive, random_ensemble, random_inputs, small_data
from torch import Tensor

import bnnbench as bb
from bnnbench.core.crafting import craft

THREAT = bb.Threat(epsilon=0.1)


def attack(function: Callable[[bb.Victim, Tensor, Tensor], Tensor]) -> bb.Attack:
    class Odd(bb.Attack):
        """For these tests."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            return function(victim, x, y)

    return Odd()


def in_place(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
    x.add_(0.01)
    return x


def on_weight(tensor: int, position: int) -> Callable[..., Tensor]:
    def change(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
        weights = list(victim._predictive.draws.values())[tensor].view(-1)
        weights[position] = weights[position].nextafter(torch.tensor(9.0, dtype=weights.dtype))
        return x

    return change


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda victim, x, y: x + 0.2, "left the"),
        (lambda victim, x, y: (x + 0.1).clamp(max=2) * 1.02, "left the"),
        (lambda victim, x, y: x - 0.1, "left the box"),
        (lambda victim, x, y: x * float("nan"), "not finite"),
        (lambda victim, x, y: x[:-1], "returned"),
        (lambda victim, x, y: x.float(), "float32, not"),
        (lambda victim, x, y: x.numpy(), "returned"),
        (lambda victim, x, y: None, "returned None"),
        (in_place, "changed the inputs"),
        (on_weight(0, 0), "changed the weights"),
        (on_weight(0, 3), "changed the weights"),
        (on_weight(-1, -1), "changed the weights"),
    ],
)
def test_a_breach_is_named_never_clipped(function: Callable[..., Tensor], reason: str) -> None:
    x, y = random_inputs()
    x[0] = 0.0
    with pytest.raises(bb.ContractBreach, match=reason) as caught:
        attack(function)(random_ensemble(), x, y, THREAT)
    assert "Odd" in str(caught.value)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_changed_weight_is_seen_wherever_it_lies_in_a_word(position: int) -> None:
    ensemble = linear_predictive(np.ones((3, 2)), np.ones(3))
    with pytest.raises(bb.ContractBreach, match="changed the weights"):
        attack(on_weight(1, position))(ensemble, torch.zeros(2, 2), torch.tensor([0, 1]), THREAT)


def test_rounding_at_the_border_is_no_breach() -> None:
    x, y = random_inputs()
    made = attack(lambda victim, x, y: (x + 0.1).clamp(max=1) + 5e-7)(random_ensemble(), x, y, THREAT)
    assert made.max() <= 1 + 1e-6


def test_gradients_are_refused_where_only_scores_are_given() -> None:
    x, y = random_inputs()
    scores = bb.Threat(epsilon=0.1, access="scores")
    for name in ("fgsm", "pgd"):
        with pytest.raises(bb.GradientRefused):
            bb.attack(name)(random_ensemble(), x, y, scores)
    assert bb.attack("random-sign", tries=3)(random_ensemble(), x, y, scores).shape == x.shape


def test_inputs_outside_the_box_are_refused() -> None:
    x, y = random_inputs()
    with pytest.raises(ValueError, match="outside the box"):
        bb.attack("fgsm")(random_ensemble(), x + 1, y, THREAT)


def test_a_victim_shows_the_draws_of_its_stream_and_counts() -> None:
    predictive, (x, y) = random_ensemble(draws=8), random_inputs()
    seen: dict[str, object] = {}

    def look(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
        seen["len"], seen["logits"] = len(victim), victim.logits(x)
        value, direction = victim.value_and_direction(x, y, "log-margin")
        seen["value"], seen["direction"] = value, direction
        assert torch.allclose(victim.value(x, y, "log-margin"), value)
        victim.record("value", value)
        victim.log_probs(x[:5])
        return x

    fresh = bb.Threat(epsilon=0.1, stream="independent")
    (made,) = craft(attack(look), predictive, x, y, [fresh], seed=0)
    assert seen["len"] == 4
    assert torch.equal(seen["logits"], predictive.logits(x, [4, 5, 6, 7]))  # type: ignore[arg-type]
    assert made.forward_passes.mean() == pytest.approx(3 + 5 / 11)
    assert made.gradient_passes.tolist() == [1] * 11
    assert torch.equal(made.steps["value"][0], seen["value"])  # type: ignore[arg-type]


def test_evaluation_uses_its_own_draws_under_independent_and_the_limit_under_fixed() -> None:
    x, y = random_inputs(images=30)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    predictive = random_ensemble(draws=10)
    independent = bb.evaluate(
        predictive, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.1, stream="independent"), images=30
    )
    assert (independent.draws, independent.attack_draws) == (5, 5)
    expected = predictive.log_probs(x[independent.index], range(5)).numpy()
    assert independent.clean_log_probs == pytest.approx(expected, abs=1e-6)
    fixed = bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.1, draws=4, images=30)
    assert (fixed.draws, fixed.attack_draws) == (4, 4)
    fresh = bb.evaluate(
        predictive, bb.attack("pgd"), data, threat=bb.Threat(epsilon=0.1, stream="fresh", attack_draws=2), images=30
    )
    assert (fresh.draws, fresh.attack_draws) == (2, 2)


def test_under_fresh_each_image_meets_draws_of_its_own() -> None:
    """Of two draws one is right everywhere and one nowhere: with one subset for all, accuracy would be 0 or 1.

    Over 40 seeds the 95% interval misses one half as often as it should: at most 6 times, which goes wrong in less than
    1% of such tests.
    """
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(300, dtype=torch.int64)
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    bias = np.array([[5.0, -5.0], [-5.0, 5.0]], dtype="f4")
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.zeros((2, 2, 2), "f4"), "bias": bias})
    threat = bb.Threat(epsilon=0.0, stream="fresh", attack_draws=1)
    missed = 0
    for seed in range(40):
        found = bb.evaluate(predictive, bb.attack("fgsm"), data, threat=threat, images=300, seed=seed)
        assert found.robust_accuracy == found.clean_accuracy  # Nothing was attacked.
        low, high = found.interval
        missed += not low <= 0.5 <= high
    assert missed <= 6


def test_too_few_draws_for_a_stream_are_incompatible() -> None:
    data = small_data()
    single = linear_predictive(np.ones((2, 4)), np.zeros(2))
    with pytest.raises(bb.Incompatible):
        bb.evaluate(single, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.1, stream="independent"))


def test_what_the_plain_gradient_loses_is_counted() -> None:
    """Margins of hundreds of nats: float32 autograd gives exactly zero, and the attack's direction does not."""
    data = small_data(images=40)
    generator = np.random.default_rng(0)
    sure = linear_predictive(3e4 * generator.normal(size=(2, 4)), np.zeros(2))
    outcome = bb.evaluate(sure, bb.attack("fgsm"), data, epsilon=0.05)
    assert outcome.zero_gradient_share > 0.3
    assert outcome.zero_direction_share == 0
    dead = linear_predictive(np.zeros((2, 4)), np.zeros(2))
    outcome = bb.evaluate(dead, bb.attack("fgsm"), data, epsilon=0.05)
    assert outcome.zero_direction_share == 1


@pytest.mark.parametrize(
    ("arrays", "shared", "reason"),
    [
        ({"weight": np.full((1, 4, 2, 4), np.nan), "bias": np.zeros((1, 4, 2))}, {}, "not finite: weight"),
        ({"weight": np.zeros((1, 4, 2, 4))}, {"bias": np.array([0, np.inf])}, "not finite: bias"),
        ({"weight": np.zeros((1, 9, 2, 4)), "bias": np.zeros((1, 9, 2))}, {}, "returned 9 draws, its parameter says 4"),
        ({"weight": np.zeros((1, 3, 2, 4)), "bias": np.zeros((1, 3, 2))}, {}, "returned 3 draws, its parameter says 4"),
    ],
)
def test_draws_that_break_the_rules_are_named(
    arrays: dict[str, np.ndarray], shared: dict[str, np.ndarray], reason: str
) -> None:
    class Bad(bb.Posterior):
        """For this test."""

        draws: int = 4

        def fit(self, network, data, *, seed, progress=bb.no_progress):  # type: ignore[no-untyped-def]
            return bb.Draws(arrays, shared=shared)

    with pytest.raises(bb.ContractBreach, match=reason):
        bb.fit(Bad(), torch.nn.Linear(4, 2), small_data())


def test_a_posterior_that_calls_its_draws_a_bound_may_give_fewer() -> None:
    class Few(bb.Posterior):
        """For this test."""

        draws_at_most: ClassVar[bool] = True
        draws: int = 4

        def fit(self, network, data, *, seed, progress=bb.no_progress):  # type: ignore[no-untyped-def]
            return bb.Draws({"weight": np.zeros((1, 3, 2, 4)), "bias": np.zeros((1, 3, 2))})

    assert len(bb.fit(Few(), torch.nn.Linear(4, 2), small_data())) == 3
    with pytest.raises(bb.ContractBreach, match="returned 3 draws, its parameter says 2"):
        bb.fit(Few(draws=2), torch.nn.Linear(4, 2), small_data())


def test_seeds_are_uint32() -> None:
    for wrong in (-1, 2**32, 1.0, True):
        with pytest.raises(ValueError, match="not an integer from 0"):
            bb.fit(bb.posterior("sgd"), torch.nn.Linear(4, 2), small_data(), seed=wrong)  # type: ignore[arg-type]
