"""Whether ranks are uniform, as simulation-based calibration asks (Talts et al. 2018).

The test is that of the simultaneous envelope of an empirical distribution function (Sailynoja et al. 2022): the number
of ranks up to each place is compared with a binomial distribution, and the most unusual place decides. The chance that
uniform ranks have a place as unusual is computed exactly, by the Markov chain of these numbers over the places.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from bnnbench.statistics.agreement import Array

ROUNDING = 1e-9
"""The share by which two chances differ that are called different."""
CANDIDATES = 400
"""The number of envelopes among which the widest of a level is found."""


def ranks_among(draws: Array, truth: Array) -> Array:
    """The number of draws (L, Q) that lie below the truth (Q,), for each of Q quantities: from 0 to L."""
    return np.asarray((draws < truth).sum(0))


def uniformity(ranks: Array, largest: int) -> Array:
    """The p-values (Q,) of ranks (N, Q) from 0 to `largest`, if they are uniform and independent over N."""
    number = len(ranks)
    below = np.stack([(ranks <= place).sum(0) for place in range(largest)])  # (places, Q)
    unusual = _unusual(number, largest)
    smallest = np.take_along_axis(unusual, below.T, 0).min(1)
    return (1 - _chance_inside(number, largest, smallest * (1 + ROUNDING))).clip(0, 1)


def envelope(number: int, largest: int, error: float = 0.05) -> tuple[Array, Array]:
    """The smallest and the largest number of ranks up to each place 0 ... `largest` - 1, of uniform ones.

    `number` uniform ranks leave it at any place with a probability of at most `error`, and close to it.
    """
    bounds = np.geomspace(error / (2 * largest), error, CANDIDATES)
    kept = bounds[np.flatnonzero(1 - _chance_inside(number, largest, bounds) <= error)[-1]]
    inside = _unusual(number, largest) > kept
    return inside.argmax(0), number - inside[::-1].argmax(0)


def _levels(largest: int) -> Array:
    """The probability that a uniform rank is at most 0 ... `largest` - 1."""
    return np.arange(1, largest + 1) / (largest + 1)


def _unusual(number: int, largest: int) -> Array:
    """The two-sided p-value of each number of ranks up to each place, (number + 1, places)."""
    counts, levels = np.arange(number + 1)[:, None], _levels(largest)
    return 2 * np.minimum(binom.cdf(counts, number, levels), binom.sf(counts - 1, number, levels))


def _chance_inside(number: int, largest: int, bounds: Array) -> Array:
    """The probability that uniform ranks are more usual than a bound at all places, for each of the bounds (Q,)."""
    counts, unusual = np.arange(number + 1), _unusual(number, largest)
    chances = np.zeros((len(bounds), number + 1))
    chances[:, 0] = 1
    before = 0.0
    for place, level in enumerate(_levels(largest)):
        # Of the ranks above the last place, each is at this one with the same probability.
        step = binom.pmf(counts - counts[:, None], number - counts[:, None], (level - before) / (1 - before))
        chances = (chances @ step) * (unusual[:, place] > bounds[:, None])
        before = level
    return chances.sum(1)
