"""How well an uncertainty ranks images: accuracy of the most certain ones, area below errors, interval of an AUROC.

Images with the same uncertainty have no order. The figures are the means over all orders of such images.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.statistics.bisection import last_that_holds

Array = NDArray[Any]


def selective_curve(right: Array, uncertainty: Array) -> Array:
    """The accuracy of the k images with the least uncertainty, for k = 1 to N, (N,).

    `right` (N,) says which images are classified correctly, and `uncertainty` is (N,). Raises `ValueError` for other
    shapes, for an uncertainty that is not a number, or if there are no images.
    """
    right, uncertainty = np.asarray(right), np.asarray(uncertainty)
    if right.ndim != 1 or uncertainty.shape != right.shape:
        raise ValueError(f"uncertainty has the shape {uncertainty.shape} and right {right.shape}, not (N,) and (N,)")
    if not right.size:
        raise ValueError("there are no images")
    if np.isnan(uncertainty).any():
        raise ValueError("an uncertainty is not a number")
    _, place, counts = np.unique(uncertainty, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=right.astype(float)) / counts
    curve: Array = np.cumsum(np.repeat(means, counts)) / np.arange(1, right.size + 1)
    return curve


def selective_risk(right: Array, uncertainty: Array) -> float:
    """The area under the risk-coverage curve (AURC; Geifman et al. 2019), in [0, 1]: the smaller, the better.

    It is the mean over k of the share of errors among the k images with the least uncertainty. Raises `ValueError` as
    `selective_curve` does.
    """
    return float((1 - selective_curve(right, uncertainty)).mean())


def auroc_interval(auroc: float, negatives: int, positives: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of an area under a ROC curve, in [0, 1]: method 5 of Newcombe (2006).

    It holds the areas A from which the estimate is less than z standard errors away, by the variance of Hanley and
    McNeil (1982) at A with the mean of both sample sizes, so that an estimate of 1 has an interval too. Raises
    `ValueError` for an area outside [0, 1] or no image on a side.
    """
    if not 0 <= auroc <= 1 or min(negatives, positives) < 1:
        raise ValueError(f"an area of {auroc:g} for {negatives} and {positives} images")
    limit, mean = NormalDist().inv_cdf(0.5 + level / 2), (negatives + positives) / 2 - 1

    def plausible(area: float) -> bool:
        spread = 1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area)
        return abs(area - auroc) <= limit * math.sqrt(area * (1 - area) * spread / (negatives * positives))

    return last_that_holds(plausible, auroc, 0.0), last_that_holds(plausible, auroc, 1.0)
