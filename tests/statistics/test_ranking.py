"""Selective accuracy and its area, by hand and by counting all orders of ties."""

from __future__ import annotations

import itertools
from statistics import NormalDist

import numpy as np
import pytest

from bnnbench.statistics.metrics import auroc
from bnnbench.statistics.ranking import auroc_interval, selective_curve, selective_risk


def test_the_curve_by_hand() -> None:
    right, uncertainty = np.array([False, True, True, False]), np.array([0.9, 0.1, 0.2, 0.3])
    assert selective_curve(right, uncertainty) == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert selective_risk(right, uncertainty) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_ties_are_the_mean_over_all_their_orders() -> None:
    right, uncertainty = np.array([1, 0, 0, 1, 1]), np.array([0.5, 0.5, 0.1, 0.5, 0.7])
    curves = []
    for order in itertools.permutations(range(5)):
        if all(uncertainty[one] <= uncertainty[other] for one, other in itertools.pairwise(order)):
            curves.append(np.cumsum(right[list(order)]) / np.arange(1, 6))
    assert len(curves) == 6
    assert selective_curve(right, uncertainty) == pytest.approx(np.mean(curves, 0))
    shuffled = np.random.default_rng(0).permutation(5)
    assert selective_curve(right[shuffled], uncertainty[shuffled]) == pytest.approx(np.mean(curves, 0))


def test_an_uncertainty_that_says_nothing_leaves_the_accuracy() -> None:
    assert selective_curve(np.array([1, 0, 1, 1]), np.zeros(4)) == pytest.approx([0.75] * 4)


@pytest.mark.parametrize(
    ("right", "uncertainty", "told"),
    [([], [], "no images"), ([1, 0], [1.0], "shape"), ([1], [np.nan], "not a number"), ([[1]], [[1.0]], "shape")],
)
def test_what_has_no_order_is_refused(right: list[int], uncertainty: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        selective_curve(np.array(right), np.array(uncertainty))


def test_an_interval_of_an_area_covers_it_about_as_often_as_it_says() -> None:
    """Normal scores apart by d have the area Phi(d / sqrt 2). Of 400 intervals at 95%, 367 to 392 hold it but for one
    run in a thousand; the tolerance also allows the two points by which the method is known to err."""
    generator = np.random.default_rng(0)
    for distance, negatives, positives in ((0.5, 60, 60), (1.5, 40, 90), (2.5, 100, 50)):
        truth, held = NormalDist().cdf(distance / 2**0.5), 0
        for _ in range(400):
            one, other = generator.normal(size=negatives), generator.normal(distance, size=positives)
            low, high = auroc_interval(auroc(one, other), negatives, positives)
            held += low <= truth <= high
        assert 0.92 * 400 < held <= 400


def test_an_area_at_an_end_has_an_interval_too() -> None:
    low, high = auroc_interval(1.0, 30, 30)
    assert 0.85 < low < 0.99
    assert high == 1.0
    assert auroc_interval(0.0, 30, 30) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("wrong", [(1.1, 5, 5), (0.5, 0, 5), (0.5, 5, 0)])
def test_an_area_outside_of_0_to_1_or_no_images_are_refused(wrong: tuple[float, int, int]) -> None:
    with pytest.raises(ValueError, match="an area of"):
        auroc_interval(*wrong)
