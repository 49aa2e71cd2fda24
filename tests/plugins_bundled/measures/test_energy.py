"""The energy distance of draws: no bias, and known values."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from bnnbench_plugins.measures.energy import energy_distance, thinned


def normal(seed: int, draws: int, images: int = 4000, classes: int = 1, mean: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(draws, images, classes, generator=generator)


def error(values: np.ndarray) -> float:
    return float(values.std() / math.sqrt(len(values)))


@pytest.mark.parametrize(("draws", "others"), [(2, 2), (5, 7), (12, 3)])
def test_equal_distributions_are_at_a_distance_of_zero_in_the_mean(draws: int, others: int) -> None:
    """Each image is a repetition. Means over all pairs, each draw with itself included, would be 0.2 and more."""
    found = energy_distance(normal(1, draws, classes=3), normal(2, others, classes=3))
    assert abs(found.mean()) < 4 * error(found)
    assert error(found) < 0.02
    assert found.min() < 0


def test_two_normal_distributions_are_at_their_known_distance() -> None:
    """X - Y has mean 1 and variance 2; E|Z| of a normal Z is sd sqrt(2/pi) exp(-m^2/2v) + m (1 - 2 Phi(-m/sd))."""
    spread = math.sqrt(2) * math.sqrt(2 / math.pi)
    apart = spread * math.exp(-1 / 4) + 1 - 2 * NormalDist().cdf(-1 / math.sqrt(2))
    found = energy_distance(normal(1, 6), normal(2, 5, mean=1.0))
    assert found.mean() == pytest.approx(2 * apart - 2 * spread, abs=4 * error(found))


def test_point_masses_are_at_twice_their_distance_and_draws_that_are_equal_at_none() -> None:
    one, other = torch.zeros(1, 3, 2), torch.tensor([[[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]]])
    assert energy_distance(one, other).tolist() == [10.0, 2.0, 0.0]
    equal = normal(1, 1, images=3).expand(4, -1, -1)
    assert energy_distance(equal, equal[:2]).tolist() == [0, 0, 0]


def test_images_that_are_held_apart_have_the_same_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = normal(1, 4, images=9), normal(2, 3, images=9)
    together = energy_distance(one, other)
    monkeypatch.setattr("bnnbench_plugins.measures.energy.HELD", 40)
    assert (energy_distance(one, other) == together).all()


def test_thinned_draws_are_spaced_evenly() -> None:
    assert thinned(range(10), 20) == [*range(10)]
    assert thinned(range(10), 2) == [2, 7]
    assert thinned([3, 5, 8], 1) == [5]
