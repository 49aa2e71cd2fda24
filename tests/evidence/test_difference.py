"""One difference: its figures at one seed and at several, and the correction of a list."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.difference import Difference, Differences, Pair, difference_of
from bnnbench.statistics.paired import mcnemar, paired_interval
from bnnbench.statistics.two_way import across_seeds


def pair(*seeds: int) -> Pair:
    threat = bb.Threat(epsilon=0.1)
    return Pair("posteriors", "vi", "sgd", "moons", "fc", "", "worst", threat, "0.1", seeds)


def robust(*patterns: str) -> np.ndarray:
    return np.array([[bit == "1" for bit in pattern] for pattern in patterns])


def test_at_one_seed_it_is_the_paired_test_and_interval() -> None:
    found = difference_of(pair(0), robust("1111111100"), robust("1000000011"))
    assert (found.only_first, found.only_second, found.images) == (7, 2, 10)
    assert (found.first_accuracy, found.second_accuracy) == (0.8, 0.3)
    assert found.difference == pytest.approx(0.5)
    assert (found.low, found.high) == paired_interval(7, 2, 10)
    assert found.p == found.p_adjusted == mcnemar(7, 2)
    assert found.method == "paired"


def test_at_several_seeds_interval_and_p_are_the_more_cautious_ones() -> None:
    """Of seeds that differ much the bootstrap decides, of equal ones the images of one seed do."""
    generator = np.random.default_rng(0)
    first, second = generator.random((3, 300)) < np.array([[0.9], [0.6], [0.7]]), generator.random((3, 300)) < 0.5
    found = difference_of(pair(0, 1, 2), first, second)
    low, high, p = across_seeds(first.astype(int) - second)
    assert (found.low, found.high, found.p, found.method) == (low, high, p, "two-way bootstrap")
    equal = difference_of(pair(0, 1, 2), *(np.repeat(one[:1], 3, axis=0) for one in (first, second)))
    once = difference_of(pair(0), first[:1], second[:1])
    assert equal.low <= once.low < once.high <= equal.high
    assert equal.p >= once.p


def test_seeds_are_not_more_images() -> None:
    """Five equal seeds of ten images: what one seed cannot show they cannot either."""
    first, second = robust(*["1111100000"] * 5), robust(*["0000000000"] * 5)
    assert difference_of(pair(*range(5)), first, second).p >= mcnemar(5, 0) > 0.05


def test_no_difference_at_any_seed_has_an_interval_all_the_same() -> None:
    same = robust("1111111111", "1111111111")
    found = difference_of(pair(0, 1), same, same)
    assert (found.low, found.high) == paired_interval(0, 0, 10)
    assert found.p == 1.0


def test_mean_counts_are_rounded_towards_each_other() -> None:
    first, second = robust("1" * 12 + "0" * 8, "1" * 13 + "0" * 7), robust("0" * 20, "0" * 19 + "1")
    found = difference_of(pair(0, 1), first, second)
    assert (found.only_first, found.only_second) == (12.5, 0.5)
    assert found.p >= mcnemar(12, 1)


def test_one_image_at_several_seeds_shows_nothing() -> None:
    assert difference_of(pair(0, 1), robust("1", "1"), robust("0", "0")).p == 1.0


def with_p(p: float) -> Difference:
    return dataclasses.replace(difference_of(pair(0), robust("1100"), robust("1000")), p=p)


def test_a_list_is_adjusted_for_all_of_it() -> None:
    found = Differences.of([with_p(p) for p in (0.01, 0.04, 0.03, 0.005)], left_out=1)
    assert [one.p_adjusted for one in found] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.holds for one in found] == [True, False, False, True]
    assert [one.p for one in found] == [0.01, 0.04, 0.03, 0.005]
    assert found.left_out == 1


def test_a_list_is_a_frame_and_lines_for_a_console() -> None:
    found = Differences.of([with_p(0.01), with_p(0.5)])
    frame = found.frame()
    assert list(frame.columns) == list(found[0].row())
    assert frame["difference"].tolist() == [0.25, 0.25]
    assert frame["holds"].tolist() == [True, False]
    first, second = repr(found).splitlines()
    assert first.startswith("moons fc worst 0.1: vi less sgd: +25.0 points [")
    assert first.endswith("p 0.02 (Holm), holds")
    assert second.endswith("p 0.5 (Holm)")
    assert repr(Differences.of([])) == "no differences"
