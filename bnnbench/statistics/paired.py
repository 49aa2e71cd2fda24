"""Comparisons of two proportions on the same images: a test, an interval, and the correction for several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from bnnbench.statistics.bisection import last_that_holds


def mcnemar(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test, two-sided (McNemar 1947): that of a fair coin.

    `only_first` and `only_second` count the images at which the first alone and the second alone succeeds. The p-value
    is computed in integers, and is 1 if there is no such image. Raises `ValueError` for negative counts.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts are {only_first} and {only_second}, not 0 or more")
    trials, fewer = only_first + only_second, min(only_first, only_second)
    term = tail = 1
    for place in range(fewer):
        term = term * (trials - place) // (place + 1)
        tail += term
    return min(1.0, 2 * tail / 2**trials)


def paired_interval(only_first: float, only_second: float, images: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of the difference of two paired proportions, first less second: Tango's score interval (1998).

    `only_first` and `only_second` are as in `mcnemar`, of so many `images`. They may be fractional: for means over
    seeds `images` stays the number of distinct images. The bounds are in [-1, 1]. Raises `ValueError` for counts that
    are negative or more than the images, and for a `level` outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level:g}, not between 0 and 1")
    if images < 1 or only_first < 0 or only_second < 0 or only_first + only_second > images * (1 + 1e-9):
        raise ValueError(f"{only_first:g} and {only_second:g} of {images} images")
    limit, estimate = NormalDist().inv_cdf(0.5 + level / 2), (only_first - only_second) / images

    def plausible(difference: float) -> bool:
        squared, variance = _score(difference, only_first, only_second, images)
        return squared <= limit * limit * variance

    low, high = (end if plausible(end) else last_that_holds(plausible, estimate, end) for end in (-1.0, 1.0))
    return low, high


def _score(difference: float, only_first: float, only_second: float, images: int) -> tuple[float, float]:
    """The square of the score at a supposed difference, and its variance, by the likelihood under that difference."""
    product = difference * (1 - difference)
    linear = (2 * images + only_second - only_first) * difference - only_first - only_second
    root = math.sqrt(max(0.0, linear * linear + 8 * images * only_second * product))
    second = (root - linear) / (4 * images)  # The most likely share of images at which the second alone succeeds.
    return (only_first - only_second - images * difference) ** 2, images * (2 * second + product)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family of tests, adjusted by Holm's step-down method (1979), in the order given.

    If the tests whose adjusted p-value is at most 5% are believed, the probability that any of them is wrong is at most
    5%, however they depend on each other.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, which in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[which]))
        adjusted[which] = largest
    return adjusted


def mcnemar_more(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test, one-sided: that the first succeeds at more images is chance.

    It is the probability that a fair coin, thrown as often as the two differ, falls at least `only_first` times on one
    side. It is 1 if they never differ. Raises `ValueError` for negative counts.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts are {only_first} and {only_second}, not 0 or more")
    trials = only_first + only_second
    return sum(math.comb(trials, place) for place in range(only_first, trials + 1)) / 2**trials
