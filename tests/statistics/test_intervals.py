"""Wilson intervals against published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnbench.statistics.intervals import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, Table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(trials=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_contains_the_share_and_is_symmetric(trials: int, share: float) -> None:
    successes = share * trials
    low, high = wilson(successes, trials)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    other_low, other_high = wilson(trials - successes, trials)
    assert (low, high) == (pytest.approx(1 - other_high, abs=1e-9), pytest.approx(1 - other_low, abs=1e-9))


def test_wilson_covers_about_as_often_as_it_says() -> None:
    """Exact coverage at n = 100, averaged over proportions, is close to 95% (Brown, Cai, DasGupta 2001)."""
    n = 100
    inside = np.array([wilson(k, n) for k in range(n + 1)])
    coverage = []
    for p in np.linspace(0.05, 0.95, 91):
        weights = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
        coverage.append(weights[(inside[:, 0] <= p) & (p <= inside[:, 1])].sum())
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.005)
