"""Metrics on cases done by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnnbench.statistics import metrics


def test_softmax_robustness_by_hand() -> None:
    clean = np.log([[0.7, 0.2, 0.1], [0.5, 0.5, 1e-300]])
    attacked = np.log([[0.1, 0.8, 0.1], [0.5, 0.5, 1e-300]])
    assert metrics.softmax_robustness(clean, attacked) == pytest.approx([0.4, 1.0])
    certain = np.array([[0.0, -np.inf]])
    assert metrics.softmax_robustness(certain, certain[:, ::-1]) == pytest.approx([0.0])


def test_scores_by_hand() -> None:
    log_probs = np.log([[0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 0])
    assert metrics.negative_log_likelihood(log_probs, labels) == pytest.approx([-math.log(0.8), -math.log(0.4)])
    assert metrics.brier(log_probs, labels) == pytest.approx([0.08, 0.72])
    # One bin each: |1 - 0.8| and |0 - 0.6|, half the images in each.
    assert metrics.calibration_error(log_probs, labels) == pytest.approx(0.4)
    assert metrics.entropy(np.log([[0.5, 0.5]])) == pytest.approx([math.log(2)])
    assert metrics.entropy(np.array([[0.0, -np.inf]])) == pytest.approx([0.0])


def test_mutual_information_is_all_of_the_entropy_where_sure_draws_disagree_and_none_where_they_agree() -> None:
    even = np.log([[0.5, 0.5]])
    assert metrics.mutual_information(even, np.array([0.0])) == pytest.approx([math.log(2)])
    assert metrics.mutual_information(even, np.array([math.log(2)])) == pytest.approx([0.0])


def test_auroc_by_hand_and_against_counting() -> None:
    assert metrics.auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert metrics.auroc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    generator = np.random.default_rng(0)
    negatives, positives = generator.integers(0, 5, 30) * 1.0, generator.integers(1, 6, 20) * 1.0
    counted = np.mean([(p > n) + 0.5 * (p == n) for p in positives for n in negatives])
    assert metrics.auroc(negatives, positives) == pytest.approx(counted)


def test_auroc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(1)
    negatives, positives = generator.integers(0, 20, 200) / 20, generator.integers(3, 23, 150) / 20
    truth = np.repeat([0, 1], [200, 150])
    expected = roc_auc_score(truth, np.concatenate([negatives, positives]))
    assert metrics.auroc(negatives, positives) == pytest.approx(expected)


def test_uncertainties_by_hand() -> None:
    log_probs, draws = np.log([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]), np.array([0.0, np.log(2), 0.5])
    entropies = metrics.entropy(log_probs)
    assert metrics.uncertainty("entropy", log_probs, draws) == pytest.approx(entropies)
    assert metrics.uncertainty("mutual-information", log_probs, draws) == pytest.approx(
        [entropies[0], 0, 0.000402], abs=1e-6
    )
    assert metrics.uncertainty("max-probability", log_probs, draws) == pytest.approx([0.1, 0.5, 0.2])
    with pytest.raises(ValueError, match="no score 'energy': choose one of entropy, mutual-information, max-"):
        metrics.uncertainty("energy", log_probs, draws)


def test_the_rounding_of_one_draw_is_no_disagreement() -> None:
    """Two sums of the same entropy differ by rounding: ranks would take that for a signal."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(400, 10)).astype(np.float32) * 3
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    other_sum = -(np.exp(log_probs) * log_probs)[:, ::-1].cumsum(-1)[:, -1]
    assert (metrics.mutual_information(log_probs, other_sum) > 0).any()
    assert (metrics.uncertainty("mutual-information", log_probs, other_sum) == 0).all()


def test_the_area_under_the_risk_is_small_if_errors_are_the_least_certain() -> None:
    log_probs = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels, uncertainty = np.zeros(4, int), np.array([0.1, 0.2, 0.3, 0.4])
    assert metrics.area_under_risk(log_probs, labels, uncertainty) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert metrics.area_under_risk(log_probs, labels, -uncertainty) == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)


def test_selective_accuracy_keeps_the_least_uncertain() -> None:
    log_probs = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels, uncertainty = np.array([0, 0, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 0.5) == 1.0
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 1.0) == 0.5
    # Images with one uncertainty have no order: the figure does not depend on where they stand.
    assert metrics.selective_accuracy(log_probs, labels, np.zeros(4), 0.5) == 0.5


LOG_PROBS, LABELS = np.log([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 1])


@pytest.mark.parametrize(
    ("negatives", "positives"),
    [([], [1.0]), ([1.0], []), ([], []), ([1.0, np.nan], [1.0]), ([1.0], [np.nan]), ([[1.0]], [1.0])],
)
def test_an_auroc_that_is_not_defined_is_refused(negatives: list[float], positives: list[float]) -> None:
    with pytest.raises(ValueError, match="auroc: "):
        metrics.auroc(np.array(negatives), np.array(positives))


def test_scores_may_be_infinite() -> None:
    assert metrics.auroc(np.array([-np.inf, 0.0]), np.array([np.inf])) == 1.0


@pytest.mark.parametrize("bins", [0, -1, 2.5, True, "15"])
def test_a_number_of_bins_that_is_none_is_refused(bins: object) -> None:
    with pytest.raises(ValueError, match="bins is "):
        metrics.calibration_error(LOG_PROBS, LABELS, bins=bins)  # type: ignore[arg-type]


def test_bins_may_be_a_number_of_numpy() -> None:
    expected = metrics.calibration_error(LOG_PROBS, LABELS, bins=3)
    assert metrics.calibration_error(LOG_PROBS, LABELS, bins=np.int64(3)) == expected  # type: ignore[arg-type]


def test_with_a_bin_for_each_confidence_the_calibration_error_is_the_mean_gap_whatever_the_number_of_bins() -> None:
    confidence = np.exp(LOG_PROBS.max(-1))
    assert len(set(confidence)) == len(confidence)
    expected = np.abs(metrics.correct(LOG_PROBS, LABELS) - confidence).mean()
    for bins in (10**6, 10**12, 10**30):
        assert metrics.calibration_error(LOG_PROBS, LABELS, bins) == pytest.approx(expected)


OF_LABELS = [
    metrics.correct,
    metrics.negative_log_likelihood,
    metrics.brier,
    metrics.calibration_error,
    lambda log_probs, labels: metrics.selective_accuracy(log_probs, labels, np.zeros(len(labels)), 0.5),
]
"""The metrics of log-probabilities and labels."""


@pytest.mark.parametrize("metric", OF_LABELS)
@pytest.mark.parametrize(
    ("log_probs", "labels"),
    [
        (LOG_PROBS, np.array([0])),
        (LOG_PROBS, np.array([0, 1, 1])),
        (LOG_PROBS, np.array([0, 2])),
        (LOG_PROBS, np.array([-1, 0])),
        (LOG_PROBS, np.array([0.0, 1.0])),
        (LOG_PROBS, np.array([[0, 1]])),
        (LOG_PROBS[0], np.array([0, 1])),
    ],
)
def test_labels_that_are_not_those_of_the_log_probabilities_are_refused(
    metric: Callable[[Any, Any], Any], log_probs: np.ndarray, labels: np.ndarray
) -> None:
    """Numpy would take a part of the images, or count a class from the end."""
    with pytest.raises(ValueError, match="labels"):
        metric(log_probs, labels)


@pytest.mark.parametrize("metric", [metrics.calibration_error, OF_LABELS[-1]])
def test_a_mean_of_no_images_is_refused(metric: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ValueError, match="there are no images"):
        metric(np.zeros((0, 2)), np.zeros(0, int))


@pytest.mark.parametrize("kept", [0.0, -0.5, 1.5, np.nan])
def test_a_share_out_of_bounds_is_refused(kept: float) -> None:
    with pytest.raises(ValueError, match="kept is "):
        metrics.selective_accuracy(LOG_PROBS, LABELS, np.zeros(2), kept)


def test_uncertainties_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="uncertainty"):
        metrics.selective_accuracy(LOG_PROBS, LABELS, np.zeros(3), 0.5)
