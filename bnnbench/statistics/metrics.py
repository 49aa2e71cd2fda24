"""Metrics of predictive log-probabilities (N, K) and labels (N,) of N images and K classes.

They are in numpy, so that reports load no framework. Metrics that take labels raise `ValueError` if these are not
integers (N,) in [0, K).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnnbench.statistics.ranking import selective_curve, selective_risk

FINEST = 2**53
"""The largest number of bins of the unit interval between which float64 can tell."""
Array = NDArray[np.floating]
Labels = NDArray[np.integer]
SCORES = ("entropy", "mutual-information", "max-probability")
"""The names of uncertainties of a prediction."""
RESOLUTION = 1e-5
"""The smallest disagreement of draws, in nats, that is told from the rounding of log-probabilities.

A single draw never disagrees with itself, but the difference of two equal entropies is seldom exactly zero. A rank
statistic would take its rounding for a signal.
"""


def correct(log_probs: Array, labels: Labels) -> NDArray[np.bool_]:
    """Whether the most probable class of each image is its label, (N,)."""
    _check(log_probs, labels)
    return np.argmax(log_probs, -1) == labels


def softmax_robustness(clean: Array, attacked: Array) -> Array:
    """1 - max_k |p_k(x) - p_k(x_adv)| of each image, in [0, 1], (N,), from log-probabilities (N, K).

    Carbone et al. (2020), Section 5.3, report its mean.
    """
    return 1 - np.abs(np.exp(clean) - np.exp(attacked)).max(-1)


def negative_log_likelihood(log_probs: Array, labels: Labels) -> Array:
    """-log p[y] of each image, in nats, (N,)."""
    _check(log_probs, labels)
    return -log_probs[np.arange(len(labels)), labels]


def brier(log_probs: Array, labels: Labels) -> Array:
    """The Brier score of each image, in [0, 2], (N,): the squared distance of probabilities and one-hot label."""
    _check(log_probs, labels)
    return ((np.exp(log_probs) - np.eye(log_probs.shape[-1])[labels]) ** 2).sum(-1)


def calibration_error(log_probs: Array, labels: Labels, bins: int = 15) -> float:
    """The expected calibration error (Guo et al. 2017), in [0, 1], with `bins` of equal width of the confidence.

    Raises `ValueError` if `bins` is not a positive integer, or if there are no images.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"bins is {bins!r}, not a positive integer")
    _check(log_probs, labels, some=True)
    confidence = np.exp(log_probs.max(-1))
    right = correct(log_probs, labels)
    bins = min(int(bins), FINEST)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((right[place == b] - confidence[place == b]).sum())) for b in np.unique(place)]
    return sum(gaps) / len(labels)


def entropy(log_probs: Array) -> Array:
    """The entropy over the last axis, in nats; a probability of zero adds nothing."""
    probabilities = np.exp(log_probs)
    return -(probabilities * np.where(probabilities > 0, log_probs, 0.0)).sum(-1)


def mutual_information(log_probs: Array, mean_draw_entropy: Array) -> Array:
    """The entropy of the predictive less the draws' mean entropy, in nats, (N,): the disagreement of the draws.

    It is not negative, by Jensen's inequality; negative values due to rounding become 0.
    """
    return np.maximum(entropy(log_probs) - mean_draw_entropy, 0.0)


def auroc(negatives: Array, positives: Array) -> float:
    """The probability that a positive has a higher score than a negative, in [0, 1]; ties count half.

    It is the area under the ROC curve, computed as the Mann-Whitney statistic. Raises `ValueError` if there are no
    negatives or no positives, if they are not one-dimensional, or if a score is not a number.
    """
    for name, scores in (("negatives", negatives), ("positives", positives)):
        if np.ndim(scores) != 1 or len(scores) == 0:
            raise ValueError(f"auroc: {name} have the shape {np.shape(scores)}, not (n,) with n > 0")
        if np.isnan(scores).any():
            raise ValueError(f"auroc: a score of the {name} is not a number")
    scores = np.concatenate([negatives, positives])
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    rank_sum = ranks[len(negatives) :].sum()
    return float((rank_sum / len(positives) - (len(positives) + 1) / 2) / len(negatives))


def selective_accuracy(log_probs: Array, labels: Labels, uncertainty: Array, kept: float) -> float:
    """The accuracy over the share `kept`, in (0, 1], of the images that have the least uncertainty.

    `uncertainty` is (N,). At least one image is kept. Images with the same uncertainty have no order: the figure is the
    mean over all their orders. Raises `ValueError` for a share out of bounds, for uncertainties of another shape or
    that are no numbers, or if there are no images.
    """
    if not 0 < kept <= 1:
        raise ValueError(f"kept is {kept}, not in (0, 1]")
    _check(log_probs, labels, some=True)
    return float(selective_curve(correct(log_probs, labels), uncertainty)[max(1, round(kept * len(labels))) - 1])


def area_under_risk(log_probs: Array, labels: Labels, uncertainty: Array) -> float:
    """The area under the risk-coverage curve (AURC), in [0, 1]: `ranking.selective_risk` of the errors.

    Raises `ValueError` as `selective_accuracy` does.
    """
    _check(log_probs, labels, some=True)
    return selective_risk(correct(log_probs, labels), uncertainty)


def uncertainty(score: str, log_probs: Array, mean_draw_entropy: Array) -> Array:
    """An uncertainty of each image, by the name of its score (`SCORES`), (N,): the larger, the less certain.

    `entropy` is the entropy of the predictive, `mutual-information` the disagreement of the draws, and
    `max-probability` the probability of all classes but the most probable one. Disagreement of less than
    `RESOLUTION` is 0. Raises `ValueError` for another name.
    """
    if score == "entropy":
        return entropy(log_probs)
    if score == "mutual-information":
        found = mutual_information(log_probs, mean_draw_entropy)
        return np.where(found < RESOLUTION, 0.0, found)
    if score == "max-probability":
        return -np.expm1(np.minimum(log_probs.max(-1), 0.0))
    raise ValueError(f"there is no score {score!r}: choose one of {', '.join(SCORES)}")


def _check(log_probs: Array, labels: Labels, *, some: bool = False) -> None:
    """Raise `ValueError` if labels are not those of log-probabilities (N, K), or if `some` and there are no images."""
    shape, given = np.shape(log_probs), np.asarray(labels)
    if len(shape) != 2 or given.shape != shape[:1]:
        raise ValueError(f"log_probs have the shape {shape} and labels {given.shape}, not (N, K) and (N,)")
    if some and not given.size:
        raise ValueError("there are no images")
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= shape[1]):
        raise ValueError(f"labels are not integers from 0 to {shape[1] - 1}")
