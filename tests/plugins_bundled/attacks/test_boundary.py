"""HopSkipJump: the nearest misclassified input, by decisions alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from known import random_ensemble, random_inputs
from without_gradient import SHAPES, linear_scores, worst_fall

import bnnbench as bb

NORMS = ("linf", "l2")


def nearest(scores: Any, x: torch.Tensor, y: torch.Tensor, norm: str, seed: int = 0, **parameters: Any) -> Any:
    """The run of the attack in a ball that holds the box (-4, 4)."""
    threat = bb.Threat(epsilon=1e3, norm=norm, bounds=(-4, 4), access="scores")  # type: ignore[arg-type]
    return bb.attack("boundary", **parameters).run(scores, x, y, threat, seed=seed, allow_whole_box=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
def test_it_comes_near_the_exact_distance_to_the_hyperplane(shape: tuple[int, ...], norm: str) -> None:
    scores, x, y, slopes, margins = linear_scores(shape)
    found = nearest(scores, x, y, norm)
    exact = margins / worst_fall(slopes, 1.0, norm)
    assert found.success.all()
    # Margins are known to the rounding of float32.
    assert (found.distance >= exact * (1 - 1e-4) - 1e-6).all()
    beyond = np.median(found.distance / exact)
    assert beyond < {2: 1.005, 64: 1.1, 192: 1.25}[x[0].numel()]
    assert found.gradient_passes.max() == 0


@pytest.mark.parametrize("norm", NORMS)
def test_only_decisions_count(norm: str) -> None:
    """A model that gives nothing but its predicted class leads to the same bits as its scores."""
    scores, x, y, _, _ = linear_scores((64,), images=20)
    predictive = bb.predictive(scores)

    def decisions(points: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(predictive.log_probs(points).argmax(-1), 2).float() * 2 - 1

    one, other = (nearest(function, x, y, norm, queries=400).inputs for function in (predictive, decisions))
    assert torch.equal(one, other)


@pytest.mark.parametrize("queries", [1, 5, 51, 52, 75, 90, 300, 777])
def test_no_image_costs_more_than_its_queries_and_little_is_left_over(queries: int) -> None:
    scores, x, y, _, _ = linear_scores((64,), images=15)
    for parameters, budget in (({"queries": queries}, None), ({}, queries)):
        threat = bb.Threat(epsilon=1e3, norm="l2", bounds=(-4, 4), queries=budget)
        found = bb.attack("boundary", **parameters).run(scores, x, y, threat, allow_whole_box=True)
        assert (found.passes <= queries).all()
        # Fewer than the smallest step costs.
        assert (found.passes >= min(queries, queries - 8 - 10)).all()


def test_an_image_that_is_misclassified_costs_one_query_and_stays_where_it_is() -> None:
    scores, x, y, _, _ = linear_scores((64,), images=15)
    y[:5] = 1 - y[:5]
    found = nearest(scores, x, y, "l2", queries=200)
    assert torch.equal(found.inputs[:5], x[:5])
    assert (found.passes[:5] == 1).all()
    assert (found.passes[5:] > 1).all()
    assert (found.distance[5:] > 0).all()


def test_where_noise_gives_no_start_the_nearest_input_of_another_class_does() -> None:
    """Only points near a corner of the box have the second class, so uniform noise never has it."""

    def corner(points: torch.Tensor) -> torch.Tensor:
        inside = (points > 0.9).all(1).float()
        return torch.stack([1 - 2 * inside, 2 * inside - 1], 1)

    x = torch.full((4, 64), 0.2)
    x[2], x[3] = 0.95, 0.99
    y = torch.tensor([0, 0, 1, 1])
    alone = bb.attack("boundary").run(corner, x[:2], y[:2], bb.Threat(epsilon=0.5))
    assert not alone.success.any()
    assert torch.equal(alone.inputs, x[:2])
    found = bb.attack("boundary").run(corner, x, y, bb.Threat(epsilon=0.75))
    assert found.success.all()
    assert found.distance[:2] == pytest.approx([0.7, 0.7], abs=0.01)


def test_under_a_target_the_start_is_an_input_of_the_target() -> None:
    """Each class has a corner of its own, which noise never has: an input of a third class is no start."""

    def corners(points: torch.Tensor) -> torch.Tensor:
        first, last = (points[:, :32] > 0.9).all(1), (points[:, 32:] > 0.9).all(1)
        return 2 * torch.stack([~first & ~last, first & ~last, last], 1).float() - 1

    x = torch.full((3, 64), 0.2)
    x[1, :32] = x[2, 32:] = 0.95  # The nearest input of another class is the second, of the target the third.
    x[2, :32] = 0.3
    threat = bb.Threat(epsilon=6.0, norm="l2", goal="targeted", target=2)
    found = bb.attack("boundary").run(corners, x, torch.tensor([0, 1, 2]), threat, allow_whole_box=True)
    assert found.success.all()
    assert found.distance[0] == pytest.approx(0.7 * np.sqrt(32), rel=0.1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_results_lie_in_the_box_and_repeat_for_a_seed(shape: tuple[int, ...], norm: str) -> None:
    scores, x, y, _, _ = linear_scores(shape, images=10, low=0.0)
    threat = bb.Threat(epsilon=0.5, norm=norm)  # type: ignore[arg-type]
    attack = bb.attack("boundary", queries=200)
    first, again, other = (attack(scores, x, y, threat, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_does_not_depend_on_the_others_of_its_batch(norm: str) -> None:
    predictive, (x, _) = random_ensemble(inputs=12, scale=2), random_inputs(images=30, inputs=12)
    other = x.clone()
    other[1:] = 1 - other[1:]
    threat = bb.Threat(epsilon=0.5, norm=norm)  # type: ignore[arg-type]
    attack = bb.attack("boundary", queries=300)
    y = predictive.log_probs(x).argmax(-1)
    one, two = (attack(predictive, batch, y, threat) for batch in (x, other))
    assert not torch.equal(one[0], x[0])
    assert torch.allclose(one[0], two[0], atol=1e-9)
    assert not torch.allclose(one[1:], two[1:])


def test_one_run_serves_all_radii() -> None:
    scores, x, y, slopes, margins = linear_scores((64,))
    exact = margins / worst_fall(slopes, 1.0, "l2")
    radii = [float(np.quantile(exact, share)) for share in (0.2, 0.5, 0.8)]
    threats = [bb.Threat(epsilon=radius, norm="l2", bounds=(-4, 4)) for radius in radii]
    runs = bb.attack("boundary").run(scores, x, y, threats)
    for radius, found in zip(radii, runs, strict=True):
        assert not found.success[exact > radius * (1 + 1e-4)].any()
        assert found.success[exact < radius * 0.85].all()


def test_predicted_classes_are_all_that_it_needs() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    attack = bb.attack("boundary", queries=200)
    given = bb.Threat(epsilon=0.2)
    decided = bb.Threat(epsilon=0.2, access="decisions")
    assert torch.equal(attack(predictive, x, y, given), attack(predictive, x, y, decided))
