"""The fast minimum-norm attack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.attacks.nearest import Nearest
from hyperplanes import SHAPES, found, linear_problem
from known import random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2", "l1")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_finds_the_nearest_input_of_another_class_at_the_border_of_the_box_too(
    shape: tuple[int, ...], norm: str
) -> None:
    predictive, x, y, exact = linear_problem(shape)
    _, distance = found(bb.attack("fmn", targets=2), predictive, x, y, norm)
    assert (distance >= exact[norm] * (1 - 1e-5)).all()
    # What is added for rounding is a share of the log-probabilities, so it counts where an image is near the boundary.
    assert (distance <= exact[norm] * 1.005 + 1e-4).all()


@pytest.mark.parametrize("norm", NORMS)
def test_steps_find_a_nearer_input_than_the_first_direction(norm: str) -> None:
    """Where pixels are at the end of the box, the steepest direction is not the nearest way."""
    predictive, x, y, exact = linear_problem((64,), classes=5)
    few, many = (found(bb.attack("fmn", steps=n), predictive, x, y, norm)[1] for n in (1, 60))
    assert (many <= few * (1 + 1e-6)).all()
    assert (many < few * 0.99).any()
    assert np.median(many / exact[norm]) < 1.01


@pytest.mark.parametrize("norm", NORMS)
def test_saturated_networks_are_no_harder(norm: str) -> None:
    predictive, x, y, exact = linear_problem((64,), scale=1e4)
    _, distance = found(bb.attack("fmn", targets=2), predictive, x, y, norm)
    assert (distance <= exact[norm] * 1.005 + 1e-4).all()


@pytest.mark.parametrize("norm", NORMS)
def test_draws_that_are_sure_of_different_classes_are_crossed(norm: str) -> None:
    """Two draws, certain by thousands of nats, whose boundaries lie at x = 0.6 and x = 0.9. The gradient of the margin
    is zero between them: there one draw is as sure as the other."""
    steep = 1e4
    weight = np.array([[[0.0], [steep]], [[0.0], [steep]]], "f4")
    bias = np.array([[0.0, -0.6 * steep], [0.0, -0.9 * steep]], "f4")
    predictive = bb.Predictive(torch.nn.Linear(1, 2), {"weight": weight, "bias": bias})
    x, y = torch.tensor([[0.1], [0.5], [0.59]]), torch.zeros(3, dtype=torch.long)
    nearest, _ = found(bb.attack("fmn"), predictive, x, y, norm)
    assert (nearest <= 0.91).all()


@pytest.mark.parametrize("norm", NORMS)
def test_one_run_gives_the_exact_robust_accuracy_at_all_radii(norm: str) -> None:
    predictive, x, y, exact = linear_problem((1, 8, 8), images=60)
    radii = np.quantile(exact[norm], [0.2, 0.5, 0.8]) * 1.01
    threats = [bb.Threat(epsilon=float(radius), norm=norm) for radius in radii]  # type: ignore[arg-type]
    crafted = craft(bb.attack("fmn", targets=2), predictive, x, y, threats, seed=0)
    assert len({tuple(one.forward_passes.tolist()) for one in crafted}) == 1
    for radius, threat, one in zip(radii, threats, crafted, strict=True):
        clear = np.abs(exact[norm] / radius - 1) > 6e-3
        broken = threat.broken(predictive.log_probs(one.inputs), y).numpy()
        assert clear.mean() > 0.9
        assert np.array_equal(broken[clear], (exact[norm] < radius)[clear])


def test_targets_find_a_class_that_the_best_other_one_hides() -> None:
    """Class 1 is the best other one and wins at x = 0.9; class 2 is far less probable at 0.5, and wins at 0.4."""
    weights = {"weight": np.array([[[0.0], [2.0], [-100.0]]], "f4"), "bias": np.array([[0.0, -1.8, 40.0]], "f4")}
    predictive = bb.Predictive(torch.nn.Linear(1, 3), weights)
    x, y = torch.tensor([[0.5]]), torch.tensor([0])
    distances = [found(bb.attack("fmn", targets=n), predictive, x, y, "l2")[1] for n in (0, 1, 2)]
    assert distances == pytest.approx(np.array([[0.4], [0.4], [0.1]]), abs=1e-3)


def test_an_image_that_is_misclassified_already_stays_as_it_is() -> None:
    predictive, x, y, _ = linear_problem((2,))
    nearest, _ = found(bb.attack("fmn"), predictive, x, (y + 1) % 3, "l2")
    assert torch.equal(nearest, x)


@pytest.mark.parametrize("name", ["fmn", "deepfool", "carlini-wagner"])
def test_nearest_inputs_repeat_for_a_seed_and_depend_on_no_other_image(name: str) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=20)
    threat = bb.Threat(epsilon=1.0, norm="l2")
    first, again = (bb.attack(name, steps=20)(predictive, x, y, threat, seed=3) for _ in range(2))
    assert torch.equal(first, again)
    order = torch.arange(19, 4, -3)
    alone = bb.attack(name, steps=20)(predictive, x[order], y[order], threat, seed=3)
    assert torch.allclose(alone, first[order], atol=1e-8)


def test_of_several_candidates_of_an_image_the_nearest_is_kept() -> None:
    """In whatever order they come; one that does not reach the goal counts only while none has."""
    weights = {"weight": np.array([[[0.0], [10.0]]], "f4"), "bias": np.array([[0.0, -5.0]], "f4")}
    predictive = bb.Predictive(torch.nn.Linear(1, 2), weights)
    x, y = torch.tensor([[0.1], [0.2]]), torch.zeros(2, dtype=torch.long)
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]):
        at = torch.tensor([0, 0, 0, 1, 1])[order]
        candidates = torch.tensor([[0.9], [0.6], [0.4], [0.3], [0.25]])[order]
        nearest = Nearest(predictive, x, y, bb.Threat(1.0))  # type: ignore[arg-type]
        reached = nearest.offer(candidates, predictive.log_probs(candidates), at)
        assert torch.equal(reached, candidates[:, 0] > 0.5)
        assert nearest.inputs[0].item() == pytest.approx(0.6)
        assert nearest.distance.tolist() == [pytest.approx(0.5), torch.inf]
