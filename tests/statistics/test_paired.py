"""The test, the interval and the correction of paired comparisons, against published and exact values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from bnnbench.statistics.paired import holm, mcnemar, mcnemar_more, paired_interval


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 0, 1.0), (6, 0, 2 / 64), (1, 7, 2 * 9 / 256), (0, 2000, 0.0)],
)
def test_mcnemar_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(p, abs=1e-300)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_test_of_scipy(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_rejects_no_more_often_than_it_says() -> None:
    """Exactly: with n discordant images, the probability of p at most 5% under no difference."""
    for n in range(1, 60):
        rejected = sum(math.comb(n, k) for k in range(n + 1) if mcnemar(k, n - k) <= 0.05)
        assert rejected / 2**n <= 0.05


@pytest.mark.parametrize(
    ("first", "second", "images", "level", "low", "high"),
    [
        # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850: airway reactivity of 21 children.
        (1, 7, 21, 0.95, -0.517, -0.026),
        # scoreci.mp of the R package PropCIs.
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_the_interval_against_published_values(
    first: int, second: int, images: int, level: float, low: float, high: float
) -> None:
    digits = 5 * 10.0 ** -(len(str(high).partition(".")[2]) + 1)
    assert paired_interval(first, second, images, level) == (
        pytest.approx(low, abs=digits),
        pytest.approx(high, abs=digits),
    )


def test_without_discordant_images_the_interval_is_that_of_an_exact_formula() -> None:
    """The score is n d / sqrt(n d (1 - d) + 2 n q) with q = 0 for d > 0: the bound is z^2 / (n + z^2)."""
    z = 1.959963984540054
    for images in (1, 20, 500):
        bound = z * z / (images + z * z)
        assert paired_interval(0, 0, images) == (pytest.approx(-bound), pytest.approx(bound))
    assert paired_interval(20, 0, 20)[1] == 1.0
    assert paired_interval(0, 20, 20)[0] == -1.0


@pytest.mark.parametrize(("first", "second", "images"), [(12, 5, 60), (3, 0, 40), (0, 9, 30), (50, 40, 200)])
def test_the_bounds_solve_the_score_equation_of_the_likelihood(first: int, second: int, images: int) -> None:
    """The nuisance parameter is found by maximising the likelihood numerically, not by the formula."""

    def score(difference: float) -> float:
        both = images - first - second

        def loss(q: float) -> float:
            shares = ((first, q + difference), (second, q), (both, 1 - 2 * q - difference))
            return -sum(count * math.log(share) for count, share in shares if count)

        ends = (max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12)
        q = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
        variance = images * (2 * q + difference * (1 - difference))
        return (first - second - images * difference) / math.sqrt(variance)

    low, high = paired_interval(first, second, images)
    assert score(low) == pytest.approx(1.959964, abs=1e-3)
    assert score(high) == pytest.approx(-1.959964, abs=1e-3)


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_holds_the_difference_and_is_mirrored(images: int, discordant: float, share: float) -> None:
    first, second = images * discordant * share, images * discordant * (1 - share)
    low, high = paired_interval(first, second, images)
    assert -1 <= low <= (first - second) / images + 1e-9
    assert (first - second) / images - 1e-9 <= high <= 1
    assert paired_interval(second, first, images) == (pytest.approx(-high, abs=1e-9), pytest.approx(-low, abs=1e-9))


@pytest.mark.parametrize(("images", "mean"), [(10, 0.982), (30, 0.958), (100, 0.951)])
def test_the_interval_covers_about_as_often_as_it_says(images: int, mean: float) -> None:
    """Exact coverage over a grid of shares, by all tables: nowhere below 93.5%, and cautious where images are few."""
    counts = [(b, c) for b in range(images + 1) for c in range(images + 1 - b)]
    bounds = np.array([paired_interval(b, c, images) for b, c in counts])
    first, second = np.array(counts).T
    logs = np.array([math.lgamma(k + 1) for k in range(images + 1)])
    coefficients = logs[images] - logs[first] - logs[second] - logs[images - first - second]
    coverage = []
    for p, q in itertools.product((0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4), repeat=2):
        weights = np.exp(
            coefficients + first * math.log(p) + second * math.log(q) + (images - first - second) * math.log(1 - p - q)
        )
        covered = (bounds[:, 0] <= p - q + 1e-12) & (p - q - 1e-12 <= bounds[:, 1])
        coverage.append(weights[covered].sum())
    assert min(coverage) >= 0.935
    assert np.mean(coverage) == pytest.approx(mean, abs=0.001)


def test_holm_by_hand() -> None:
    """The example of the R function p.adjust, and of Wright (1992), by hand."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """An adjusted p-value is the largest Bonferroni p-value of all families that hold the test (Marcus et al. 1976)."""
    for place, adjusted in enumerate(holm(p_values)):
        others = [p for other, p in enumerate(p_values) if other != place]
        families = (
            [p_values[place], *some] for size in range(len(p_values)) for some in itertools.combinations(others, size)
        )
        assert adjusted == pytest.approx(max(min(1.0, len(family) * min(family)) for family in families))


@pytest.mark.parametrize("counts", [(-1, 0, 10), (0, -1, 10), (6, 5, 10), (0, 0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="images"):
        paired_interval(*counts)


def test_other_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="counts are -1 and 2"):
        mcnemar(-1, 2)
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match="level is"):
            paired_interval(1, 1, 10, level)


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (3, 0), (5, 2), (2, 5), (12, 4)])
def test_the_one_sided_test_is_that_of_a_fair_coin(more: int, fewer: int) -> None:
    expected = binomtest(more, more + fewer, alternative="greater").pvalue if more + fewer else 1.0
    assert mcnemar_more(more, fewer) == pytest.approx(expected)
