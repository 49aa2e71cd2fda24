"""Metrics on cases done by hand."""

from __future__ import annotations

import math

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


def test_selective_accuracy_keeps_the_least_uncertain() -> None:
    log_probs = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels, uncertainty = np.array([0, 0, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 0.5) == 1.0
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 1.0) == 0.5
