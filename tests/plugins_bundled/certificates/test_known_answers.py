"""Certificates where the exact answer is known: linear classifiers, and two inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.exact import Exact
from bnnbench_plugins.certificates.interval import IntervalBounds
from hyperplanes import SHAPES, linear_problem
from random_networks import margin

import bnnbench as bb


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_classifiers_are_certified_up_to_their_distance(shape: tuple[int, ...], norm: str) -> None:
    predictive, x, y, exact = linear_problem(shape)
    certificates: list[bb.Certificate] = [Crown()] + ([IntervalBounds()] if norm == "linf" else [])
    for certificate in certificates:
        for image, distance in enumerate(exact[norm]):
            one, label = x[image : image + 1], y[image : image + 1]
            for factor in (0.98, 1.02):
                threat = bb.Threat(epsilon=factor * distance, norm=norm)  # type: ignore[arg-type]
                assert certificate.prove(predictive, [0], one, label, threat).certified.item() == (factor < 1)


def circle(draws: int = 3) -> bb.Predictive:
    """An ensemble of two inputs whose classes are bounded by curves."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 12), torch.nn.Tanh(), torch.nn.Linear(12, 3))
    generator = np.random.default_rng(4)
    weights = {name: 3 * generator.normal(size=(draws, *value.shape)) for name, value in module.state_dict().items()}
    weights["0.bias"] = -weights["0.weight"].mean(2)  # The units change their signs in the middle of the box.
    weights["2.bias"] *= 0
    return bb.Predictive(module, {name: value.astype("f4") for name, value in weights.items()})


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_two_inputs_are_decided_as_on_a_dense_grid(norm: str) -> None:
    predictive, epsilon = circle(), 0.1
    x = torch.rand(60, 2, generator=torch.Generator().manual_seed(0))
    y = predictive.log_probs(x).argmax(1)
    threat = bb.Threat(epsilon=epsilon, norm=norm)  # type: ignore[arg-type]
    proof = Exact().prove(predictive, range(3), x, y, threat)
    assert proof.bound is not None
    assert proof.refuted is not None
    axis = torch.linspace(-1, 1, 161)
    steps = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}[norm]
    steps = epsilon * steps[steps.norm(order, dim=1) <= 1 + 1e-6]
    for image in range(len(x)):
        points = (x[image] + steps).clamp(0, 1)
        least = margin(predictive, points, y[image].expand(len(points))).min()
        if abs(least) > 0.02:  # The grid may miss what is nearer to the boundary than its width.
            assert proof.certified[image] == (least > 0)
            assert proof.refuted[image] == (least <= 0)
        if not (proof.certified | proof.refuted)[image]:
            assert abs(least) < 1e-3  # Rounding may decide.
        assert proof.bound[image] <= least + 1e-6
    assert (proof.certified | proof.refuted).float().mean() > 0.95
    assert 0 < proof.refuted.sum() < len(x)


def test_draws_that_are_equal_and_opposite_are_bounded_jointly() -> None:
    """The mean of two draws, whose differences of logits are 2 + a x and 2 - a x: they cannot both be at their least.

    Where a x is 1 at most, p_y - p_k is concave along both lines, and the mean is at least that at an end.
    """
    weight = np.array([[[1.0], [0.0]], [[-1.0], [0.0]]], dtype="f4")
    predictive = bb.Predictive(torch.nn.Linear(1, 2), {"weight": weight, "bias": np.full((2, 2), [2.0, 0.0], "f4")})
    x, y, threat = torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), bb.Threat(epsilon=1.0, bounds=(-1, 1))
    per_draw = Crown(joint=False).prove(predictive, [0, 1], x, y, threat).bound
    joint = Crown().prove(predictive, [0, 1], x, y, threat).bound
    at = lambda m: np.tanh(m / 2)  # noqa: E731
    assert per_draw is not None
    assert joint is not None
    assert per_draw.item() == pytest.approx(at(1.0), abs=1e-3)
    assert joint.item() == pytest.approx((at(1.0) + at(3.0)) / 2, abs=1e-3)


def test_the_budget_leaves_images_undecided_and_too_many_inputs_are_incompatible() -> None:
    predictive = circle()
    x = torch.rand(60, 2, generator=torch.Generator().manual_seed(0))
    y = predictive.log_probs(x).argmax(1)
    one = Exact(boxes=1).prove(predictive, range(3), x, y, bb.Threat(epsilon=0.1))
    assert one.refuted is not None
    undecided = ~(one.certified | one.refuted)
    assert undecided.any()
    with pytest.raises(bb.Incompatible, match="at most 1 inputs"):
        Exact(inputs_at_most=1).prove(predictive, range(3), x, y, bb.Threat(epsilon=0.1))
