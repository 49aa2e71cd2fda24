"""What the average of the draws' gradients tells about their mean over the posterior.

With E independent draws, the expected squared norm of their average is |mean|^2 + variance / E. A posterior whose mean
is zero gives a norm that falls as 1 / sqrt(E); any other one has a plateau, |mean|^2, that no number of draws removes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_PER_CHAIN = 8
"""The least number of draws of a chain from which an effective number of draws is estimated."""


def prefix_order(draws: int) -> list[int]:
    """The positions of draws in an order whose every beginning is spread over all of them.

    Neighbours in a chain are alike, so that the first draws alone would be no sample of the posterior. It is the van
    der Corput order: the digits of the positions in base two, read backwards.
    """
    digits = max(1, (draws - 1).bit_length())
    return sorted(range(draws), key=lambda place: int(f"{place:0{digits}b}"[::-1], 2))


def counts_up_to(draws: int) -> list[int]:
    """The numbers 1, 2, 5, 10, 20, 50, ... below a number of draws, and that number."""
    steps = [factor * 10**power for power in range(len(str(draws))) for factor in (1, 2, 5)]
    return [*(step for step in steps if step < draws), draws]


def plateau(squared_average: NDArray[np.float64], mean_square: NDArray[np.float64], effective: float) -> np.ndarray:
    """The unbiased estimates (N,) of the squared norms of the means, from E effective draws.

    `squared_average` (N,) are the squared norms of the draws' average, and `mean_square` (N,) the means of the draws'
    squared norms. For S independent draws it is (|sum g|^2 - sum |g|^2) / (S (S - 1)), and may be negative.
    """
    return np.asarray((effective * squared_average - mean_square) / (effective - 1))


def error_over_draws(gram: NDArray[np.float64], effective: float) -> float:
    """The standard error of the plateau, in the mean over images, with respect to other draws; never too small.

    `gram` (S, S) holds the products of the draws' gradients in the mean over images. It is the larger of two errors:
    the jackknife's, which holds where the mean is far from zero, and that of random signs of the draws less their
    average, which holds where the mean is zero. Dependent draws count as their effective number. At least three draws
    are needed.
    """
    draws = len(gram)
    squares, total = np.diag(gram), gram.sum()
    without = total - 2 * gram.sum(1) + squares - (squares.sum() - squares)
    without /= (draws - 1) * (draws - 2)
    jackknife = (draws - 1) / draws * ((without - without.mean()) ** 2).sum()
    rows = gram.mean(1)
    centred = gram - rows[:, None] - rows + rows.mean()
    signs = 2 * ((centred - np.diag(np.diag(centred))) ** 2).sum() / (draws * (draws - 1)) ** 2
    excess = max(1.0, draws / effective)
    return math.sqrt(max(jackknife * excess, signs * excess**2))


def effective_draws(quantities: NDArray[np.float64], chains: list[int]) -> float | None:
    """The number of independent draws whose average would vary as much as that of these (S, Q); None if unknown.

    `chains` holds the number of each draw's chain. The effective sample sizes of the means of the quantities (Vehtari
    et al. 2021) are averaged by what each adds to the variance of the average. A single chain is cut into halves. It is
    None if a chain, or a half, has fewer than eight draws, and if nothing varies.
    """
    from arviz_stats.base import array_stats

    each = [np.flatnonzero(np.array(chains) == chain) for chain in dict.fromkeys(chains)]
    if len(each) == 1:
        each = [each[0][: len(each[0]) // 2], each[0][len(each[0]) // 2 :]]
    length = min(map(len, each))
    variance = quantities.var(0)
    if length < LEAST_PER_CHAIN or not (variance > 0).any():
        return None
    arrays = np.stack([quantities[places[:length]] for places in each]).astype(np.float64)[..., variance > 0]
    sizes = array_stats.ess(np.moveaxis(arrays, -1, 0), chain_axis=1, draw_axis=2, method="mean")
    known = np.isfinite(sizes) & (sizes > 0)
    if not known.any():
        return None
    weight = variance[variance > 0][known]
    return max(1.0, float(weight.sum() / (weight / sizes[known]).sum()))
