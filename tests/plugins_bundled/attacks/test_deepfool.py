"""DeepFool."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hyperplanes import SHAPES, found, linear_problem

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2", "l1")


@pytest.mark.parametrize("overshoot", [0.02, 0.1])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_far_from_the_box_one_step_goes_beyond_the_nearest_hyperplane_by_the_overshoot(
    shape: tuple[int, ...], norm: str, overshoot: float
) -> None:
    predictive, x, y, exact = linear_problem(shape, low=0.45, high=0.55)
    attack = bb.attack("deepfool", overshoot=overshoot, steps=1)
    _, distance = found(attack, predictive, x, y, norm)
    assert distance == pytest.approx((1 + overshoot) * exact[norm], rel=2e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_at_the_border_of_the_box_further_steps_make_up_for_what_is_clipped(norm: str) -> None:
    predictive, x, y, exact = linear_problem((64,), classes=2, images=60)
    _, distance = found(bb.attack("deepfool"), predictive, x, y, norm)
    assert (distance >= exact[norm] * (1 - 1e-5)).all()
    assert (distance <= exact[norm] * 1.021 + 1e-5).all()
    one = bb.attack("deepfool", steps=1)(predictive, x, y, bb.Threat(epsilon=1.0, norm=norm))  # type: ignore[arg-type]
    assert not bb.Threat(epsilon=1.0).broken(predictive.log_probs(one), y).all()


@pytest.mark.parametrize("norm", NORMS)
def test_saturated_networks_are_no_harder(norm: str) -> None:
    predictive, x, y, exact = linear_problem((64,), scale=1e4, low=0.45, high=0.55)
    _, distance = found(bb.attack("deepfool"), predictive, x, y, norm)
    assert distance == pytest.approx(1.02 * exact[norm], rel=2e-3)


def test_a_class_that_is_not_compared_is_not_found() -> None:
    """Class 1 is the second most probable one and far away; class 2 is near."""
    weights = {"weight": np.array([[[0, 0], [1, 0], [0, 8]]], "f4"), "bias": np.array([[1, 0.7, -5]], "f4")}
    predictive = bb.Predictive(torch.nn.Linear(2, 3), weights)
    x, y = torch.tensor([[0.01, 0.7]]), torch.tensor([0])
    assert found(bb.attack("deepfool", classes=1), predictive, x, y, "l2")[1] == pytest.approx([1.02 * 0.29], rel=1e-3)
    assert found(bb.attack("deepfool", classes=2), predictive, x, y, "l2")[1] == pytest.approx([1.02 * 0.05], rel=1e-3)


def test_an_image_whose_gradients_vanish_costs_one_step() -> None:
    predictive = bb.Predictive(
        torch.nn.Linear(2, 3), {"weight": np.zeros((1, 3, 2), "f4"), "bias": np.array([[3, 2, 0]], "f4")}
    )
    x, y = torch.rand(4, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(4, dtype=torch.long)
    (one,) = craft(bb.attack("deepfool"), predictive, x, y, [bb.Threat(epsilon=0.5)], seed=0)
    assert torch.equal(one.inputs, x)
    assert one.gradient_passes.tolist() == [2.0] * 4


@pytest.mark.parametrize("norm", NORMS)
def test_one_run_gives_the_exact_robust_accuracy_at_all_radii(norm: str) -> None:
    predictive, x, y, exact = linear_problem((3, 8, 8), images=60, low=0.4, high=0.6)
    radii = np.quantile(exact[norm], [0.2, 0.5, 0.8]) * 1.03
    threats = [bb.Threat(epsilon=float(radius), norm=norm) for radius in radii]  # type: ignore[arg-type]
    crafted = craft(bb.attack("deepfool"), predictive, x, y, threats, seed=0)
    assert len({tuple(one.forward_passes.tolist()) for one in crafted}) == 1
    for radius, threat, one in zip(radii, threats, crafted, strict=True):
        clear = np.abs(exact[norm] / radius - 1) > 0.022
        broken = threat.broken(predictive.log_probs(one.inputs), y).numpy()
        assert clear.mean() > 0.8
        assert np.array_equal(broken[clear], (exact[norm] < radius)[clear])
