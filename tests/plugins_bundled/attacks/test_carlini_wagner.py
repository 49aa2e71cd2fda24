"""The attack of Carlini and Wagner."""

from __future__ import annotations

import numpy as np
import pytest
from hyperplanes import SHAPES, found, linear_problem

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

FARTHEST, MEAN = 1.15, 1.02
"""How far the results may lie beyond the nearest ones: the farthest of them, and their mean. Adam in the coordinates of
tanh is slow at the ends of the box."""


@pytest.mark.parametrize("shape", SHAPES)
def test_it_finds_the_nearest_input_of_another_class_at_the_border_of_the_box_too(shape: tuple[int, ...]) -> None:
    predictive, x, y, exact = linear_problem(shape, classes=2)
    _, distance = found(bb.attack("carlini-wagner"), predictive, x, y, "l2")
    assert (distance >= exact["l2"] * (1 - 1e-5)).all()
    assert (distance <= exact["l2"] * FARTHEST).all()
    assert distance.mean() < MEAN * exact["l2"].mean()
    assert np.median(distance / exact["l2"]) < 1.01


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_the_scale_of_the_logits_does_not_matter(scale: float) -> None:
    """A network that is certain by thousands of nats, and one whose margins are thousandths of one."""
    predictive, x, y, exact = linear_problem((64,), classes=2, scale=scale)
    _, distance = found(bb.attack("carlini-wagner"), predictive, x, y, "l2")
    # What is added for rounding is a share of the largest log-probability, which margins of thousandths leave at 0.7.
    assert (distance <= exact["l2"] * FARTHEST + (0 if scale > 1 else 0.05)).all()


def test_inputs_at_the_ends_of_the_box_can_move() -> None:
    """The tangent of tanh vanishes there."""
    predictive, x, y, _ = linear_problem((16,), classes=2)
    x = (x > 0.5).float()
    y = predictive.log_probs(x).argmax(-1)
    threat = bb.Threat(epsilon=4.0, norm="l2")
    nearest, distance = found(bb.attack("carlini-wagner"), predictive, x, y, "l2")
    other = bb.attack("fmn")(predictive, x, y, threat)
    assert (distance <= threat.distance(x, other).numpy() * FARTHEST).all()
    assert (nearest != x).any(1).all()


def test_more_constants_never_find_a_farther_input() -> None:
    predictive, x, y, _ = linear_problem((64,), classes=4)
    few, many = (
        bb.attack("carlini-wagner", searches=n, steps=60)(predictive, x, y, bb.Threat(epsilon=8.0, norm="l2"))
        for n in (3, 7)
    )
    threat = bb.Threat(epsilon=8.0, norm="l2")
    reached = threat.broken(predictive.log_probs(few), y)
    assert reached.any()
    assert (threat.distance(x, many) <= threat.distance(x, few) + 1e-9)[reached].all()


def test_one_run_gives_the_exact_robust_accuracy_at_all_radii() -> None:
    predictive, x, y, exact = linear_problem((1, 8, 8), classes=2, images=60)
    radii = np.quantile(exact["l2"], [0.3, 0.5, 0.8]) * 1.02
    threats = [bb.Threat(epsilon=float(radius), norm="l2") for radius in radii]
    crafted = craft(bb.attack("carlini-wagner"), predictive, x, y, threats, seed=0)
    assert len({tuple(one.forward_passes.tolist()) for one in crafted}) == 1
    for radius, threat, one in zip(radii, threats, crafted, strict=True):
        clear = (exact["l2"] > radius) | (exact["l2"] * FARTHEST < radius)
        broken = threat.broken(predictive.log_probs(one.inputs), y).numpy()
        assert clear.mean() > 0.6
        assert np.array_equal(broken[clear], (exact["l2"] < radius)[clear])


def test_another_norm_is_incompatible() -> None:
    predictive, x, y, _ = linear_problem((2,))
    with pytest.raises(bb.Incompatible, match="attack carlini-wagner is not defined for the linf norm, but for l2"):
        bb.attack("carlini-wagner")(predictive, x, y, bb.Threat(epsilon=0.1))
