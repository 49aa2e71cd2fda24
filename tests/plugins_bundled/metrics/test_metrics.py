"""The bundled metrics give the figures of outcomes."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import outcome

import bnnbench as bb
from bnnbench.measurements.metric import is_of_sides, numbers_of


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("nll", "nll"),
        ("brier", "brier"),
        ("ece", "ece"),
        ("entropy", "predictive_entropy"),
        ("mutual-information", "mutual_information"),
    ],
)
def test_scores_and_uncertainties(name: str, figure: str) -> None:
    found = outcome("1111110000")
    values = list(numbers_of(name, bb.metric(name), found).values())
    assert values == [getattr(found, f"clean_{figure}"), getattr(found, f"attacked_{figure}")]


def test_rankings_with_their_parameters() -> None:
    found = outcome("1111110000")
    for score in ("entropy", "mutual-information", "max-probability"):
        detection = bb.metric("detection-auroc", score=score)
        assert numbers_of("d", detection, found) == {"d": pytest.approx(found.detection_auroc(score))}
        selective = numbers_of("s", bb.metric("selective-accuracy", share=0.8, score=score), found)
        assert selective == {"clean_s": 1.0, "attacked_s": found.selective_accuracy(0.8, score=score)}
    # Six right, then errors: risks 1/7, 2/8, 3/9 and 4/10.
    area = (1 / 7 + 2 / 8 + 3 / 9 + 4 / 10) / 10
    assert numbers_of("a", bb.metric("aurc"), found) == {"clean_a": 0.0, "attacked_a": pytest.approx(area)}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ece", {"bins": 0}),
        ("selective-accuracy", {"share": 0.0}),
        ("selective-accuracy", {"share": 1.5}),
        ("detection-auroc", {"score": "energy"}),
    ],
)
def test_parameters_out_of_bounds_are_refused(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(bb.ParameterError, match=f"metric {name}: "):
        bb.metric(name, **parameters)


def test_the_detection_alone_is_about_both_sides_together() -> None:
    names = ("nll", "brier", "ece", "entropy", "mutual-information", "selective-accuracy", "aurc", "detection-auroc")
    assert [name for name in names if not is_of_sides(bb.metric(name))] == ["detection-auroc"]
