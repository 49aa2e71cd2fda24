"""Square Attack: random search with scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import random_ensemble, random_inputs
from without_gradient import SHAPES, linear_scores, worst_fall

import bnnbench as bb

NORMS = ("linf", "l2", "l1")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
def test_it_comes_near_the_exact_robust_accuracy_of_a_linear_model_by_scores_alone(
    shape: tuple[int, ...], norm: str
) -> None:
    """No image falls that the exact worst case leaves; of those that are clearly inside, at most one in ten is left."""
    scores, x, y, slopes, margins = linear_scores(shape)
    epsilon = float(np.median(margins / worst_fall(slopes, 1.0, norm)))
    threat = bb.Threat(epsilon=epsilon, norm=norm, access="scores", bounds=(-100, 100))  # type: ignore[arg-type]
    found = bb.attack("square", queries=400).run(scores, x, y, threat)
    breakable = margins < worst_fall(slopes, epsilon, norm) * (1 - 1e-4)
    assert 0.4 < breakable.mean() < 0.6
    assert not found.success[margins > worst_fall(slopes, epsilon, norm) * (1 + 1e-4)].any()
    easy = margins < worst_fall(slopes, epsilon, norm) * (0.98 if len(shape) == 1 and shape[0] < 9 else 0.7)
    assert found.success[easy].mean() >= 0.9
    assert (found.distance <= epsilon * (1 + 1e-5)).all()
    assert found.gradient_passes.max() == 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [*SHAPES, (3, 1), (2, 3, 4, 5), (1, 1, 30)])
def test_candidates_stay_in_ball_and_box_whatever_the_shape(shape: tuple[int, ...], norm: str) -> None:
    scores, x, y, _, _ = linear_scores(shape, images=20, low=0.0)
    threat = bb.Threat(epsilon=0.3, norm=norm)  # type: ignore[arg-type]
    attack = bb.attack("square", queries=30, stop_when_broken=False)
    first, again = (attack.run(scores, x, y, threat, seed=3) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, attack.run(scores, x, y, threat, seed=4).inputs)
    assert first.inputs.min() >= 0
    assert first.inputs.max() <= 1
    assert (first.distance <= 0.3 + 1e-6).all()
    assert (first.passes == 30).all()


def test_queries_are_shared_by_restarts_and_bounded_by_the_threat() -> None:
    scores, x, y, _, _ = linear_scores((64,), images=10)
    wide = bb.Threat(epsilon=1e-3, bounds=(-100, 100))
    for budget, allowed in ((7, 7), (None, 31), (100, 31)):
        threat = bb.Threat(epsilon=1e-3, bounds=(-100, 100), queries=budget)
        assert (bb.attack("square", queries=31, restarts=3).run(scores, x, y, threat).passes == allowed).all()
    assert (bb.attack("square", queries=2, restarts=3).run(scores, x, y, wide).passes == 2).all()


def test_broken_images_are_left_alone_and_change_no_other() -> None:
    predictive, (x, y) = random_ensemble(inputs=12, scale=2), random_inputs(images=60, inputs=12)
    threat = bb.Threat(epsilon=0.2)
    whole, quick = (
        bb.attack("square", queries=80, stop_when_broken=stop).run(predictive, x, y, threat) for stop in (False, True)
    )
    assert 0 < whole.success.mean() < 1
    assert np.array_equal(whole.success, quick.success)
    left = ~whole.success
    assert torch.allclose(whole.inputs[left], quick.inputs[left], atol=1e-9)
    assert (whole.passes == 80).all()
    assert (quick.passes[left] == 80).all()
    assert quick.passes[~left].max() < 80
    assert bb.attack("square").stops_early
    assert not bb.attack("square", stop_when_broken=False).stops_early


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_does_not_depend_on_the_others_of_its_batch(norm: str) -> None:
    predictive, (x, y) = random_ensemble(inputs=12, scale=2), random_inputs(images=30, inputs=12)
    other = x.clone()
    other[1:] = 1 - other[1:]
    threat = bb.Threat(epsilon=0.15, norm=norm)  # type: ignore[arg-type]
    one, two = (bb.attack("square", queries=50).run(predictive, batch, y, threat) for batch in (x, other))
    assert torch.allclose(one.inputs[0], two.inputs[0], atol=1e-12)
    assert not torch.allclose(one.inputs[1:], two.inputs[1:])


def test_more_queries_never_leave_a_lower_objective_on_a_linear_model() -> None:
    scores, x, y, _, _ = linear_scores((1, 8, 8), images=20)
    threat = bb.Threat(epsilon=0.1, bounds=(-100, 100))
    margin = bb.objective("log-margin")

    def reached(queries: int) -> torch.Tensor:
        inputs = bb.attack("square", queries=queries, stop_when_broken=False)(scores, x, y, threat)
        return margin.value(bb.predictive(scores).draw_log_probs(inputs), y)

    few, many = reached(20), reached(400)
    assert (many >= few - 1e-6).double().mean() > 0.9
    assert many.mean() > few.mean()


def test_a_model_of_trees_is_searched_along_its_plateaus() -> None:
    """Two steps of a staircase: most candidates change nothing, and only a search that goes on finds the second."""

    def stairs(points: torch.Tensor) -> torch.Tensor:
        height = (points.sum(1) > 33.5).float() + (points.sum(1) > 34.5).float()
        return torch.stack([1.5 - height, torch.zeros(len(points))], 1)

    x, y = torch.full((20, 64), 0.5), torch.zeros(20, dtype=torch.long)
    found = bb.attack("square", queries=500).run(stairs, x, y, bb.Threat(epsilon=0.1, access="scores"))
    assert found.success.mean() >= 0.9


def test_under_fresh_two_points_are_compared_by_the_same_draws() -> None:
    """Two draws of one direction, one far steeper: whatever draw answers, the better point is the same one."""
    weight = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], dtype="f4")
    weights = {"weight": np.stack([weight, 100 * weight]), "bias": np.zeros((2, 2), "f4")}
    predictive = bb.Predictive(torch.nn.Linear(3, 2), weights)
    x, y = torch.full((6, 3), 0.5), torch.tensor([0, 1, 0, 1, 0, 1])
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)
    worst = x + 0.1 * torch.from_numpy(weight[1 - y]).sign()
    found = bb.attack("square", queries=401).run(predictive, x, y, threat)
    assert torch.allclose(found.inputs, worst, atol=2e-3)
    assert (found.passes == 401).all()
