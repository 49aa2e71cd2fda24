"""NES: projected steps along gradients that are estimated from scores."""

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
    """No image falls that the exact worst case leaves; all fall whose margin is clearly smaller than that."""
    scores, x, y, slopes, margins = linear_scores(shape)
    epsilon = float(np.median(margins / worst_fall(slopes, 1.0, norm)))
    threat = bb.Threat(epsilon=epsilon, norm=norm, access="scores", bounds=(-4, 4))  # type: ignore[arg-type]
    found = bb.attack("nes", samples=100).run(scores, x, y, threat)
    assert not found.success[margins > worst_fall(slopes, epsilon, norm) * (1 + 1e-4)].any()
    assert found.success[margins < worst_fall(slopes, epsilon, norm) * 0.8].all()
    assert (found.distance <= epsilon * (1 + 1e-5)).all()
    assert found.gradient_passes.max() == 0


@pytest.mark.parametrize("samples", [8, 50, 300])
def test_in_the_l1_ball_it_meets_the_worst_case_of_a_linear_model(samples: int) -> None:
    """Each coordinate is moved alone, so a linear slope is known exactly once all have been moved: here half-way.

    With 300 queries for a step all of 64 coordinates are moved twice or more.
    """
    scores, x, y, slopes, margins = linear_scores((64,))
    reached = worst_fall(slopes, 1.0, "l1")
    epsilon = float(np.median(margins / reached))
    threat = bb.Threat(epsilon=epsilon, norm="l1", access="scores", bounds=(-4, 4))
    attack = bb.attack("nes", samples=samples, steps=40, smoothing=0.01)
    found = attack.run(scores, x, y, threat)
    assert np.array_equal(found.success, margins < epsilon * reached * 0.999)


def test_the_estimate_is_the_gradient_up_to_the_noise_of_its_directions() -> None:
    """With n normal directions in d dimensions the cosine with the gradient is about sqrt(n / (n + d))."""
    scores, x, y, slopes, _ = linear_scores((64,), images=40)
    attack = bb.attack("nes", steps=1, samples=400, momentum=0.0, stop_when_broken=False)
    threat = bb.Threat(epsilon=1e-2, norm="l2", bounds=(-4, 4))
    step = (attack(scores, x, y, threat) - x).double().numpy()
    cosine = -(step * slopes).sum(1) / np.linalg.norm(step, axis=1) / np.linalg.norm(slopes, axis=1)
    assert np.abs(cosine.mean() - np.sqrt(200 / 264)) < 0.03


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_iterates_and_queries_stay_in_the_box_and_a_seed_repeats(shape: tuple[int, ...], norm: str) -> None:
    scores, x, y, _, _ = linear_scores(shape, images=20, low=0.0)
    seen = []

    def watched(points: torch.Tensor) -> torch.Tensor:
        seen.append((points.min(), points.max()))
        return scores(points)

    threat = bb.Threat(epsilon=0.3, norm=norm)  # type: ignore[arg-type]
    attack = bb.attack("nes", steps=4, samples=6, smoothing=0.1, stop_when_broken=False)
    first, again = (attack.run(watched, x, y, threat, seed=3) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    # In the l1 ball each step moves both of two coordinates, and a linear slope has no noise.
    same = torch.equal(first.inputs, attack.run(scores, x, y, threat, seed=4).inputs)
    assert same == (norm == "l1" and shape == (2,))
    assert min(low for low, _ in seen) >= 0
    assert max(high for _, high in seen) <= 1
    assert (first.distance <= 0.3 + 1e-6).all()
    assert (first.passes == 4 * 7 + 1).all()


@pytest.mark.parametrize(("budget", "asked"), [(1, 1), (7, 1), (8, 8), (20, 15), (29, 29), (100, 29)])
def test_the_budget_of_the_threat_leaves_whole_steps(budget: int, asked: int) -> None:
    scores, x, y, _, _ = linear_scores((64,), images=10)
    threat = bb.Threat(epsilon=1e-3, bounds=(-4, 4), queries=budget)
    assert (bb.attack("nes", steps=4, samples=6).run(scores, x, y, threat).passes == asked).all()


def test_broken_images_are_left_alone_and_change_no_other() -> None:
    predictive, (x, y) = random_ensemble(inputs=12, scale=2), random_inputs(images=60, inputs=12)
    threat = bb.Threat(epsilon=0.2)
    whole, quick = (
        bb.attack("nes", steps=5, samples=10, stop_when_broken=stop).run(predictive, x, y, threat)
        for stop in (False, True)
    )
    assert 0 < whole.success.mean() < 1
    assert np.array_equal(whole.success, quick.success)
    left = ~whole.success
    assert torch.allclose(whole.inputs[left], quick.inputs[left], atol=1e-9)
    assert (quick.passes[left] == 5 * 11 + 1).all()
    assert quick.passes[~left].mean() < 5 * 11 + 1
    other = x.clone()
    other[1:] = 1 - other[1:]
    moved = bb.attack("nes", steps=5, samples=10).run(predictive, other, y, threat)
    assert torch.allclose(moved.inputs[0], quick.inputs[0], atol=1e-9)
    assert bb.attack("nes").stops_early
    assert not bb.attack("nes", stop_when_broken=False).stops_early


def test_large_batches_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from bnnbench_plugins.attacks import query_budget

    assert query_budget.blocks(25, torch.zeros(200, 784)) == [25]
    monkeypatch.setattr(query_budget, "FLOATS_AT_ONCE", 300)
    scores, x, y, slopes, _ = linear_scores((64,), images=2)
    assert query_budget.blocks(5, x) == [2, 2, 1]
    attack = bb.attack("nes", steps=1, samples=10, stop_when_broken=False)
    found = attack.run(scores, x, y, bb.Threat(epsilon=1e-2, norm="l2", bounds=(-4, 4)))
    assert (found.passes == 12).all()
    assert ((found.inputs - x).double().numpy() * slopes).sum() < 0


def test_under_fresh_both_points_of_a_pair_are_scored_by_the_same_draws() -> None:
    """Two draws of one direction, one twice as steep and shifted: differences across draws would be noise."""
    weight = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], dtype="f4")
    bias = np.array([[0, 0], [50, -50]], "f4")
    predictive = bb.Predictive(torch.nn.Linear(3, 2), {"weight": np.stack([weight, 2 * weight]), "bias": bias})
    x, y = torch.full((6, 3), 0.5), torch.tensor([0, 1, 0, 1, 0, 1])
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)
    worst = x + 0.1 * torch.from_numpy(weight[1 - y]).sign()
    attack = bb.attack("nes", samples=40, stop_when_broken=False)
    found = attack.run(predictive, x, y, threat)
    assert torch.allclose(found.inputs, worst, atol=1e-3)
