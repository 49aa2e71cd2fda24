"""Attacks on classifiers whose worst case is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, linear_predictive

import bnnbench as bb

GRADIENT_ATTACKS = ("fgsm", "pgd")

UNBOUNDED = (-1e6, 1e6)


def binary_problem(
    seed: int = 0, inputs: int = 6, images: int = 200
) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor, np.ndarray]:
    """A linear classifier on two classes with the difference of its weights, far from any box."""
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(2, inputs)), generator.normal(size=2)
    x = torch.as_tensor(generator.normal(size=(images, inputs)), dtype=torch.float32)
    predictive = linear_predictive(weight, bias)
    return predictive, x, predictive.log_probs(x).argmax(-1), weight[1] - weight[0]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_binary_linear_classifier_meets_its_exact_worst_case(name: str, objective: str, norm: str) -> None:
    """The margin w.x + b can fall by exactly epsilon times the dual norm of w, and by no more."""
    predictive, x, y, difference = binary_problem()
    epsilon = 0.3
    dual = np.linalg.norm(difference, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm])
    threat = bb.Threat(epsilon=epsilon, norm=norm, bounds=UNBOUNDED)
    adversarial = bb.attack(name, objective=objective)(predictive, x, y, threat, seed=3)

    def margin(points: torch.Tensor) -> torch.Tensor:
        logits = predictive.logits(points)[0]
        return logits.gather(1, y[:, None])[:, 0] - logits.gather(1, 1 - y[:, None])[:, 0]

    fall = margin(x) - margin(adversarial)
    assert (fall <= epsilon * dual * (1 + 1e-4) + 1e-4).all()
    if name == "pgd":
        # Where the image is broken PGD keeps the worst of the broken iterates, which is the corner too.
        assert torch.allclose(fall, torch.full_like(fall, epsilon * dual), rtol=1e-3)
    else:
        assert torch.allclose(fall, torch.full_like(fall, epsilon * dual), rtol=1e-4)


def exact_robust(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, epsilon: float) -> np.ndarray:
    """Where no point of the linf ball in the unit box is misclassified: each target class is a separable problem."""
    robust = np.ones(len(x), bool)
    low, high = np.maximum(x - epsilon, 0), np.minimum(x + epsilon, 1)
    for target in range(len(weight)):
        slope = weight[target] - weight[y]
        best = np.where(slope > 0, high, low)
        gain = (slope * best).sum(-1) + bias[target] - bias[y]
        robust &= (gain <= 0) | (target == y)
    return robust


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(0.0, 0.3), name=st.sampled_from(["fgsm", "pgd", "random-sign"]))
def test_no_attack_goes_below_the_exact_robust_accuracy(seed: int, epsilon: float, name: str) -> None:
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(4, 5)), generator.normal(size=4) * 0.1
    x = generator.uniform(size=(60, 5)).astype("f4")
    predictive = linear_predictive(weight, bias)
    y = predictive.log_probs(torch.as_tensor(x)).argmax(-1).numpy()
    data = bb.Data(train=(x, y), test=(x, y), classes=4)
    outcome = bb.evaluate(predictive, bb.attack(name), data, epsilon=epsilon, images=60)
    robust = exact_robust(weight, bias, x, y, epsilon)[outcome.index]
    assert not (robust & ~outcome.robust).any()


def test_pgd_with_the_margin_reaches_the_exact_robust_accuracy_on_several_classes() -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(4, 5)), generator.normal(size=4) * 0.1
    x = generator.uniform(size=(300, 5)).astype("f4")
    predictive = linear_predictive(weight, bias)
    y = predictive.log_probs(torch.as_tensor(x)).argmax(-1).numpy()
    data = bb.Data(train=(x, y), test=(x, y), classes=4)
    outcome = bb.evaluate(predictive, bb.attack("pgd", restarts=8, objective="log-margin"), data, epsilon=0.1)
    missed = outcome.robust & ~exact_robust(weight, bias, x, y, 0.1)[outcome.index]
    # A margin climbs towards the nearest class; the rest is a class that is nearer from elsewhere in the ball.
    assert missed.mean() <= 0.02


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
def test_the_loss_never_exceeds_that_of_the_best_corner(name: str) -> None:
    """The cross-entropy of a linear classifier is convex in x, so its maximum over the ball is at a corner."""
    generator = np.random.default_rng(5)
    predictive = linear_predictive(generator.normal(size=(3, 4)), generator.normal(size=3))
    x, y = torch.rand(40, 4, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 3
    threat = bb.Threat(epsilon=0.2, bounds=UNBOUNDED)
    loss = bb.objective("predictive-nll")
    corners = torch.stack([x + 0.2 * torch.tensor(signs) for signs in itertools.product([-1.0, 1.0], repeat=4)])
    best = torch.stack([loss.value(predictive.draw_log_probs(corner), y) for corner in corners]).amax(0)
    adversarial = bb.attack(name)(predictive, x, y, threat)
    reached = loss.value(predictive.draw_log_probs(adversarial), y)
    assert (reached <= best + 1e-5).all()
    if name == "pgd":
        assert (best - reached).mean() < 0.05
