"""A case of the audit: the reported attacks, and their outcomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

import bnnbench as bb
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case

SQUARE = bb.attack("square")


def test_attacks_without_a_result_are_left_out() -> None:
    def find(component: object, threat: bb.Threat | None) -> object:
        if component == FGSM:
            raise bb.NotApplicable("it was skipped")
        return case({PGD: "1111100000"}).outcome(PGD)

    found = bb.Case(THREAT, {"fgsm": FGSM, "pgd": PGD}, find)
    assert list(found.reported) == ["pgd"]
    assert found.missing == {"fgsm": "it was skipped"}
    assert found.standing().sum() == 5
    with pytest.raises(bb.NotApplicable, match="it was skipped"):
        _ = bb.Case(THREAT, {"fgsm": FGSM}, find).reported


def test_without_attacks_there_is_no_number() -> None:
    with pytest.raises(bb.NotApplicable, match="no attack was reported"):
        case({}).standing()


def test_an_image_stands_if_it_withstands_all_chosen_attacks() -> None:
    found = case({FGSM: "1111100000", PGD: "0111111111"})
    assert found.standing().tolist() == [False] + [True] * 4 + [False] * 5
    assert found.standing(["ProjectedGradient 1"]).sum() == 9
    with pytest.raises(bb.NotApplicable, match="no such attack"):
        found.standing([])


def test_labels_are_chosen_by_traits() -> None:
    found = case(dict.fromkeys([FGSM, PGD, NOISE, SQUARE], "1111111111"))
    fgsm, pgd, noise, square = found.reported
    assert found.labels() == [fgsm, pgd, noise, square]
    assert found.labels(having=["single-step"]) == [fgsm]
    assert found.labels(having=["single-step", "noise"]) == [fgsm, noise]
    assert found.labels(lacking=["noise", "gradient-free"]) == [fgsm, pgd]
    assert found.labels(having=["iterative"], lacking=["gradient-free"]) == [pgd]


def test_the_radii_hold_that_of_the_case_and_are_in_order() -> None:
    others = [replace(THREAT, epsilon=epsilon) for epsilon in (0.3, 0.05, 0.05)]
    assert [one.epsilon for one in case({PGD: "1111111111"}, radii=others).radii] == [0.05, 0.1, 0.3]


def test_the_outcome_is_by_default_that_of_the_threat_of_the_case() -> None:
    larger = replace(THREAT, epsilon=0.2)
    found = case({PGD: "1111111111"}, {(PGD, larger): "0000000000"})
    assert found.outcome(PGD).robust.sum() == 10
    assert found.outcome(PGD, larger).robust.sum() == 0
