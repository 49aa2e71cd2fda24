"""What the probabilities of an outcome are worth, on ten images by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from outcomes import outcome

SURE = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
WRONG = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))


def test_scores_are_those_of_each_side() -> None:
    """Clean all right with p = 0.9; attacked six right with 0.9 and four wrong, with 0.2 for the label."""
    found = outcome("1111110000")
    assert found.clean_nll == pytest.approx(-math.log(0.9))
    assert found.attacked_nll == pytest.approx(-0.6 * math.log(0.9) - 0.4 * math.log(0.2))
    assert found.clean_brier == pytest.approx(2 * 0.1**2)
    assert found.attacked_brier == pytest.approx(0.6 * 0.02 + 0.4 * 2 * 0.8**2)
    assert found.clean_ece == pytest.approx(0.1)
    assert found.attacked_ece == pytest.approx(0.6 * 0.1 + 0.4 * 0.8)
    assert found.clean_predictive_entropy == pytest.approx(SURE)
    assert found.attacked_predictive_entropy == pytest.approx(0.6 * SURE + 0.4 * WRONG)
    assert found.clean_mutual_information == pytest.approx(SURE)  # The draws are sure: their entropy is zero.
    assert found.attacked_mutual_information == pytest.approx(0.6 * SURE + 0.4 * WRONG)


def test_detection_tells_attacked_inputs_by_their_uncertainty() -> None:
    """Four of ten attacked inputs are less certain than all clean ones, and six are alike."""
    found = outcome("1111110000")
    for score in ("entropy", "mutual-information", "max-probability"):
        assert found.detection_auroc(score) == pytest.approx(0.4 + 0.6 / 2)
    assert outcome("1111111111").detection_auroc() == 0.5
    swapped = dataclasses.replace(
        found, clean_log_probs=found.attacked_log_probs, attacked_log_probs=found.clean_log_probs
    )
    assert swapped.detection_auroc() == pytest.approx(0.3)
    with pytest.raises(ValueError, match="no score 'energy'"):
        found.detection_auroc("energy")


def test_draws_that_agree_detect_nothing_by_their_disagreement() -> None:
    found = outcome("1111110000")
    agreeing = dataclasses.replace(
        found,
        clean_entropy=np.full(10, SURE),
        attacked_entropy=np.where(found.attacked_correct, SURE, WRONG),
    )
    assert agreeing.detection_auroc("mutual-information") == 0.5
    assert agreeing.detection_auroc("entropy") == pytest.approx(0.7)


def test_selective_accuracy_of_both_sides() -> None:
    """Errors are less certain: the six right ones are kept first."""
    found = outcome("1111110000")
    assert found.selective_accuracy(0.6) == 1.0
    assert found.selective_accuracy(0.8) == pytest.approx(6 / 8)
    assert found.selective_accuracy(1.0, score="max-probability") == pytest.approx(0.6)
    assert found.selective_accuracy(0.8, attacked=False) == 1.0
    with pytest.raises(ValueError, match="kept is 0"):
        found.selective_accuracy(0)
