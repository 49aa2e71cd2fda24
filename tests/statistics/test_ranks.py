"""The test of uniform ranks: its p-values against simulation and against small cases that can be counted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bnnbench.statistics.ranks import envelope, ranks_among, uniformity


def test_a_rank_is_the_number_of_draws_below_the_truth() -> None:
    draws = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 6.0]])
    np.testing.assert_array_equal(ranks_among(draws, np.array([2.5, 4.0])), [2, 0])


def test_p_values_of_few_ranks_are_shares_of_all_outcomes() -> None:
    """All 3^4 outcomes are equally likely, so the share with a p-value of at most p is p itself, for each p."""
    outcomes = np.array(list(itertools.product(range(3), repeat=4))).T
    found = uniformity(outcomes, 2)
    for value in np.unique(found.round(9)):
        assert (found <= value + 1e-6).mean() == pytest.approx(value)
    assert len(np.unique(found.round(9))) > 3


def test_uniform_ranks_have_uniform_p_values() -> None:
    """Five standard errors of the share below each level; p-values are discrete, so it may be a little smaller."""
    found = uniformity(np.random.default_rng(0).integers(0, 32, (100, 2000)), 31)
    for level in (0.01, 0.05, 0.3):
        share, error = (found <= level).mean(), np.sqrt(level / 2000)
        assert share < level + 5 * error
        assert share > 0.9 * level - 5 * error


@pytest.mark.parametrize("power", [0.7, 1.5])
def test_skewed_ranks_and_ranks_in_the_middle_are_found(power: float) -> None:
    places = np.random.default_rng(1).random(300)
    skewed = (32 * places**power).astype(int)
    middle = (32 * (0.5 + (places - 0.5) * 0.8)).astype(int)
    assert (uniformity(np.stack([skewed, middle], 1), 31) < 1e-4).all()


def test_the_envelope_is_left_as_often_as_its_error_says() -> None:
    number, largest = 50, 15
    low, high = envelope(number, largest, 0.1)
    ranks = np.random.default_rng(2).integers(0, largest + 1, (number, 2000))
    below = np.stack([(ranks <= place).sum(0) for place in range(largest)], 1)
    left = ((below < low) | (below > high)).any(1)
    assert 0.07 < left.mean() < 0.1 + 4 * np.sqrt(0.09 / 2000)
    np.testing.assert_array_equal(left, uniformity(ranks, largest) < 0.1)
