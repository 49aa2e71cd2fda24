"""The momentum iterative fast gradient sign method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hyperplanes import SHAPES, linear_problem
from known import random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2", "l1")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_classifier_of_two_classes_meets_its_exact_robust_accuracy(shape: tuple[int, ...], norm: str) -> None:
    low, high = (0.4, 0.6) if norm == "l2" else (0.0, 1.0)  # Clipping an l2 step at the box shortens it.
    predictive, x, y, exact = linear_problem(shape, classes=2, images=60, low=low, high=high)
    radius = float(np.median(exact[norm])) * 1.001
    threat = bb.Threat(epsilon=radius, norm=norm)  # type: ignore[arg-type]
    attacked = bb.attack("mi-fgsm")(predictive, x, y, threat)
    clear = np.abs(exact[norm] / radius - 1) > 1e-3
    broken = threat.broken(predictive.log_probs(attacked), y).numpy()
    assert 0 < broken.mean() < 1
    assert np.array_equal(broken[clear], (exact[norm] < radius)[clear])


class Kinked(bb.Objective):
    """Largest where the margin of class 1 is 0.55; a hundred times as steep below it as above."""

    def value(self, log_probs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        above = log_probs[0, :, 1] - log_probs[0, :, 0] - 0.55
        return torch.minimum(100 * above, -above)


@pytest.mark.parametrize(
    ("decay", "places"), [(0.0, [0.5, 0.6, 0.5, 0.6]), (0.5, [0.5, 0.6, 0.5, 0.6]), (1.0, [0.5, 0.6, 0.6, 0.5])]
)
def test_the_sum_of_directions_of_length_one_is_followed(decay: float, places: list[float]) -> None:
    """Three steps on a line, by hand: at 0.5 the direction is 1, and at 0.6 it is -1 whatever the slopes are. So the
    sums are 1, decay - 1, and so on."""
    weights = {"weight": np.array([[[0.0], [1.0]]]), "bias": np.zeros((1, 2))}
    predictive = bb.Predictive(torch.nn.Linear(1, 2).double(), weights)
    x, y = torch.full((1, 1), 0.5, dtype=torch.float64), torch.tensor([1])
    attack = bb.attack("mi-fgsm", steps=3, decay=decay, objective=Kinked())
    (one,) = craft(attack, predictive, x, y, [bb.Threat(epsilon=0.3)], seed=0)
    values = [min(100 * (place - 0.55), 0.55 - place) for place in places]
    assert one.steps["objective"][:, 0].tolist() == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_the_best_iterate_is_kept_and_never_loses_to_the_clean_input(norm: str) -> None:
    predictive, (x, y) = random_ensemble(scale=3), random_inputs(images=40)
    objective = bb.objective("predictive-nll")
    threat = bb.Threat(epsilon=0.4, norm=norm)  # type: ignore[arg-type]
    attack = bb.attack("mi-fgsm", relative_step_size=1.0, steps=6)
    (one,) = craft(attack, predictive, x, y, [threat], seed=0)
    broken, value = one.steps["broken"].bool(), one.steps["objective"]
    best = value.where(broken | ~broken.any(0), -torch.inf).amax(0)
    assert torch.allclose(objective.value(predictive.draw_log_probs(one.inputs), y), best)
    assert (best != value[-1]).any()


def test_under_fresh_the_last_iterate_counts() -> None:
    """Two draws of one linear direction, one far steeper: whichever is met, the last iterate is the worst corner."""
    weight = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], "f4")
    weights = {"weight": np.stack([weight, 100 * weight]), "bias": np.zeros((2, 2), "f4")}
    predictive = bb.Predictive(torch.nn.Linear(3, 2), weights)
    x, y = torch.full((6, 3), 0.5), torch.tensor([0, 1, 0, 1, 0, 1])
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)
    worst = x + 0.1 * torch.from_numpy(weight[1 - y]).sign()
    for seed in range(8):
        assert torch.allclose(bb.attack("mi-fgsm", steps=4)(predictive, x, y, threat, seed=seed), worst, atol=1e-6)


def test_it_repeats_and_depends_on_no_other_image() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=20)
    threat = bb.Threat(epsilon=0.2)
    first, again = (bb.attack("mi-fgsm")(predictive, x, y, threat, seed=seed) for seed in (3, 4))
    assert torch.equal(first, again)  # It draws no random numbers.
    assert torch.allclose(bb.attack("mi-fgsm")(predictive, x[7:9], y[7:9], threat), first[7:9], atol=1e-9)
