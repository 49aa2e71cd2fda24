"""Do two numbers of posteriors rise together? Kendall's rank correlation over posteriors, with what chance explains.

Two things are by chance. Other test images and seeds would give each posterior other numbers, and small differences
another order. So a pair of posteriors counts as told apart only if both of its differences hold, after Holm's
correction for all tests; the other pairs may be either way, which gives bounds of tau. (The quantiles of a bootstrap
are no bounds: resampling shuffles posteriors that are close, so that they lie nearer to 0 than tau itself.) And the
posteriors are few: if the two numbers had nothing to do with each other, their orders would agree as well with the
probability `p`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.authoring import across_seeds, holm, mcnemar

Array = NDArray[Any]
LEVEL = 0.05
"""The largest adjusted p-value of a difference that holds."""
FEWEST = 3
"""The smallest number of posteriors that have an order to speak of."""


@dataclass(frozen=True)
class Trend:
    """Kendall's tau over so many posteriors: pairs in the same order less pairs in the opposite one, as a share of all.

    Of `same` and `opposite` pairs both differences hold at 5%. So tau, for all images and seeds that there might be,
    lies in [low, high] with a probability of at least 95%. `p` is the p-value of no relation between the two numbers.
    """

    tau: float
    low: float
    high: float
    p: float
    posteriors: int
    same: int
    opposite: int

    @property
    def pairs(self) -> int:
        """The number of all pairs."""
        return self.posteriors * (self.posteriors - 1) // 2


def trend(first: Array, second: Array) -> Trend | None:
    """The rank correlation of the means of two values (posteriors, seeds, images); the second ones are bool.

    None if there are fewer than three posteriors or two images, or one of the means is the same for all posteriors.
    """
    from scipy import stats

    first, second = np.asarray(first, np.float64), np.asarray(second, np.int64)
    count, _, images = first.shape
    x, y = first.mean((1, 2)), second.mean((1, 2))
    if count < FEWEST or images < 2 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    pairs = list(itertools.combinations(range(count), 2))
    chances = [
        of(values[i] - values[j]) for of, values in ((_chance, first), (_chance_of_bools, second)) for i, j in pairs
    ]
    held = (np.array(holm(chances)) <= LEVEL).reshape(2, -1).all(0)
    order = np.array([np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs])
    same, opposite = int((order[held] > 0).sum()), int((order[held] < 0).sum())
    unknown = len(pairs) - same - opposite
    low, high = ((same - opposite + side * unknown) / len(pairs) for side in (-1, 1))
    return Trend(float(order.mean()), low, high, float(stats.kendalltau(x, y).pvalue), count, same, opposite)


def _chance(differences: Array) -> float:
    """The p-value of a mean of zero of differences (seeds, images): by Student's t, or a two-way bootstrap."""
    from scipy import stats

    if len(differences) > 1:
        return across_seeds(differences)[2]
    if np.ptp(differences) == 0:
        return float(differences.mean() == 0)
    return float(stats.ttest_1samp(differences[0], 0.0).pvalue)


def _chance_of_bools(differences: Array) -> float:
    """The same for differences -1, 0 and 1: not below that of McNemar's exact test at the mean counts."""
    more, fewer = sorted(((differences > 0).sum() / len(differences), (differences < 0).sum() / len(differences)))[::-1]
    exact = mcnemar(int(np.floor(more)), int(np.ceil(fewer)))
    return exact if len(differences) == 1 else max(exact, across_seeds(differences)[2])
