"""Whether two numbers of posteriors rise together: known orders, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from bnnbench_plugins.measures.trend import trend


def values(seed: int, means: np.ndarray, images: int, seeds: int = 1, spread: float = 0.1) -> np.ndarray:
    """Values (posteriors, seeds, images) that vary around means."""
    noise = np.random.default_rng(seed).normal(size=(len(means), seeds, images))
    return means[:, None, None] + spread * noise


def right(seed: int, shares: np.ndarray, images: int, seeds: int = 1) -> np.ndarray:
    """Bools (posteriors, seeds, images) with these probabilities."""
    return np.random.default_rng(seed).random((len(shares), seeds, images)) < shares[:, None, None]


@pytest.mark.parametrize(("seeds", "sign"), [(1, 1), (1, -1), (3, 1)])
def test_pairs_far_apart_are_in_the_order_of_their_means(seeds: int, sign: int) -> None:
    means = np.array([0.1, 0.4, 0.6, 0.9])
    found = trend(values(0, means, 200, seeds), right(1, means[::sign], 200, seeds))
    assert found is not None
    assert (found.tau, found.low, found.high) == (sign, sign, sign)
    assert (found.same, found.opposite) == ((6, 0) if sign > 0 else (0, 6))
    assert found.p == pytest.approx(2 / 24), "two of the 24 orders of four posteriors are as extreme"


def test_pairs_that_are_not_told_apart_may_be_either_way() -> None:
    """The last two posteriors differ by one image of 50; all other pairs are told apart."""
    robust = np.zeros((4, 1, 50), bool)
    for place, count in enumerate([5, 25, 44, 45]):
        robust[place, 0, :count] = True
    near = values(0, np.array([0.0, 1.0, 2.0, 3.0]), 50)
    found = trend(near, robust)
    assert found is not None
    assert (found.same, found.opposite, found.pairs) == (5, 0, 6)
    assert (found.tau, found.low, found.high) == (1.0, pytest.approx(4 / 6), 1.0)


def test_there_is_no_trend_of_two_posteriors_of_one_image_or_of_a_constant() -> None:
    means = np.array([0.1, 0.5, 0.9])
    assert trend(values(0, means[:2], 50), right(1, means[:2], 50)) is None
    assert trend(values(0, means, 1), right(1, means, 1)) is None
    assert trend(values(0, means, 50), np.ones((3, 1, 50), bool)) is None


@pytest.mark.parametrize("relation", [0.0, 1.0])
def test_the_bounds_hold_the_correlation_of_the_true_means(relation: float) -> None:
    """In 60 repetitions; the plain quantiles of a bootstrap missed it in most of them where `relation` is 1."""
    generator, held = np.random.default_rng(4), 0
    for repetition in range(60):
        one, other = generator.normal(size=(2, 6))
        other = relation * one + (1 - relation) * other
        near, shares = 0.05 * one, np.clip(0.6 + 0.03 * other, 0, 1)
        found = trend(values(repetition, near, 100), right(repetition + 1, shares, 100))
        assert found is not None
        true = np.sign(np.subtract.outer(near, near) * np.subtract.outer(shares, shares)).sum() / 30
        held += found.low - 1e-9 <= true <= found.high + 1e-9
    assert held >= 57
