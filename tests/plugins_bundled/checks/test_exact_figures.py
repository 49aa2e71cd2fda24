"""The figures of checks on ten images that are made by hand: counts and p-values are exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.statistics.intervals import wilson
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome

ALL, NONE, HALF = "1111111111", "0000000000", "1111100000"
SMALLER, WIDEST = replace(THREAT, epsilon=0.05), replace(THREAT, epsilon=1.0)
INDEPENDENT = replace(THREAT, stream="independent")
FRESH = replace(THREAT, stream="fresh", attack_draws=2)
SQUARE = bb.attack("square", queries=1000)
STANDARD, TRANSFER = bb.attack("standard"), bb.attack("transfer")


def test_a1_five_images_that_a_single_step_alone_breaks_are_the_least_that_are_significant() -> None:
    look = bb.check("single-step").look(case({FGSM: HALF, PGD: ALL}))
    assert (look.fired, look.figure, look.threshold) == (True, 1 / 32, 0.05)
    assert "breaks 5 images that ProjectedGradient 1 leaves; the other way round: 0" in look.text
    look = bb.check("single-step").look(case({FGSM: "1111110000", PGD: ALL}))
    assert (look.fired, look.figure) == (False, 1 / 16)
    # Of six images that differ, one speaks for the iterative attack: P(5 or 6 heads of 6) = 7/64.
    look = bb.check("single-step").look(case({FGSM: HALF, PGD: "0111111111"}))
    assert look.figure == 7 / 64
    look = bb.check("single-step").look(case({FGSM: "1111100001", PGD: "1111111110"}))
    assert look.figure == 6 / 32


def test_a1_multiplies_p_values_by_the_number_of_pairs() -> None:
    other = bb.attack("pgd", steps=3)
    look = bb.check("single-step").look(case({FGSM: HALF, PGD: ALL, other: ALL}))
    assert (look.fired, look.figure) == (False, 2 / 32)
    assert bb.check("single-step", significance=0.1).look(case({FGSM: HALF, PGD: ALL, other: ALL})).fired


def test_a2_is_about_attacks_with_gradients() -> None:
    check = bb.check("noise")
    assert check.look(case({PGD: ALL, SQUARE: NONE}, {(NOISE, THREAT): HALF})).fired
    with pytest.raises(bb.NotApplicable, match="no attack with gradients"):
        check.look(case({SQUARE: ALL}, {(NOISE, THREAT): HALF}))


def test_a3_counts_images_that_fall_in_the_smaller_ball_alone() -> None:
    check = bb.check("radius-rise")
    look = check.look(case({PGD: ALL}, {(PGD, SMALLER): HALF}, radii=[SMALLER]))
    assert (look.fired, look.figure) == (True, 1 / 32)
    assert "withstand here and fall at 0.05: 5 images; the other way round: 0" in look.text
    assert not check.look(case({PGD: NONE}, {(PGD, SMALLER): ALL}, radii=[SMALLER])).fired
    least = replace(THREAT, epsilon=0.01)
    look = check.look(case({PGD: ALL}, {(PGD, SMALLER): HALF, (PGD, least): ALL}, radii=[SMALLER, least]))
    assert (look.fired, look.figure) == (False, 2 / 32)
    with pytest.raises(bb.NotApplicable, match="smaller radii, and the report has none"):
        check.look(case({PGD: ALL}, radii=[WIDEST]))


def test_a3_no_image_withstands_any_perturbation() -> None:
    check = bb.check("unconstrained")
    look = check.look(case({PGD: NONE}, {(PGD, WIDEST): NONE}))
    assert (look.fired, look.figure, look.threshold) == (False, 0.0, 0.5)
    look = check.look(case({PGD: NONE}, {(PGD, WIDEST): "1000000000"}))
    assert (look.fired, look.figure) == (True, 100 * wilson(1, 10)[0])
    assert "1 of 10 images withstand" in look.text
    with pytest.raises(bb.NotApplicable, match="the box of the inputs is not known"):
        check.look(case({PGD: ALL}, box=None))
    with pytest.raises(bb.NotApplicable, match="iterative attacks with gradients, and none is reported"):
        check.look(case({FGSM: ALL}))
    with pytest.raises(bb.NotApplicable, match="l-infinity balls, and this one is l2"):
        check.look(case({PGD: ALL}, threat=replace(THREAT, norm="l2")))
    with pytest.raises(bb.NotApplicable, match="the goal 'targeted' may be out of reach"):
        check.look(case({PGD: ALL}, threat=replace(THREAT, goal="targeted")))


def test_a4_an_attack_without_a_parameter_for_its_effort_is_left_out() -> None:
    with pytest.raises(bb.NotApplicable, match="parameter for its effort"):
        bb.check("convergence").look(case({FGSM: ALL}))


def test_a5_as_a_note_is_the_share_of_zero_gradients() -> None:
    check = bb.check("zero-gradient")
    assert check.severity == "note"
    zero = np.array([True] * 3 + [False] * 7)
    look = check.look(case({PGD: replace(outcome(ALL), zero_gradient=zero)}))
    assert (look.fired, look.figure) == (True, 30.0)
    assert not check.look(case({PGD: ALL})).fired
    with pytest.raises(bb.NotApplicable, match="gives no gradient"):
        check.look(case({PGD: replace(outcome(ALL), zero_gradient=None)}))


def test_a6_one_outcome_with_probabilities_is_enough() -> None:
    check = bb.check("probabilities")
    like, unlike = (replace(outcome(ALL), like_probabilities=value) for value in (True, False))
    assert check.look(case({PGD: unlike, FGSM: like})).fired
    assert not check.look(case({PGD: unlike, FGSM: ALL})).fired
    with pytest.raises(bb.NotApplicable, match="earlier version"):
        check.look(case({PGD: ALL}))


def test_a7_has_nothing_to_compare_in_one_pass() -> None:
    check, known = bb.check("repeated-passes"), outcome(ALL)
    shared = replace(outcome(HALF), clean_log_probs=known.clean_log_probs[:])
    for reported in ({PGD: known}, {PGD: known, FGSM: shared}):
        with pytest.raises(bb.NotApplicable, match="one pass over the clean images"):
            check.look(case(reported))
    moved = replace(known, clean_log_probs=known.clean_log_probs - 0.25)
    assert check.look(case({PGD: known, FGSM: shared, NOISE: moved})).figure == 0.25


def test_a7_compares_what_each_attack_met_and_explains_a_refusal() -> None:
    check, known = bb.check("repeated-passes"), outcome(ALL)
    moved = replace(known, clean_log_probs=known.clean_log_probs - 0.25)
    look = check.look(case({PGD: known, FGSM: moved}))
    assert (look.fired, look.figure) == (True, 0.25)
    assert not check.look(case({PGD: known, FGSM: ALL})).fired
    with pytest.raises(bb.NotApplicable, match="fresh"):
        check.look(case({PGD: known}, threat=replace(THREAT, stream="fresh", attack_draws=2)))
    explained = check.explains(bb.NotRepeatable("other outputs"))
    assert explained is not None
    assert explained.fired
    assert check.explains(bb.NetworkError("another fault")) is None


def test_a8_needs_two_images_and_a_fifth_of_a_point() -> None:
    check = bb.check("black-box")
    assert check.look(case({PGD: ALL}, {(SQUARE, THREAT): "1111111100"})).fired
    look = check.look(case({PGD: ALL}, {(SQUARE, THREAT): "1111111110"}))
    assert (look.fired, look.figure) == (False, 10.0)
    assert bb.check("black-box", images=1).look(case({PGD: ALL}, {(SQUARE, THREAT): "1111111110"})).fired
    assert not bb.check("black-box", points=20).look(case({PGD: ALL}, {(SQUARE, THREAT): "1111111100"})).fired
    with pytest.raises(bb.NotApplicable):
        check.look(case({SQUARE: ALL}, {(SQUARE, THREAT): NONE}))


def test_a11_leaves_reported_transfers_out_of_the_white_box() -> None:
    transfer = bb.attack("bnnbench:transfer", source="mean-network")
    look = bb.check("transfer").look(case({PGD: ALL, TRANSFER: NONE}, {(transfer, THREAT): NONE}))
    assert look.fired
    with pytest.raises(bb.NotApplicable):
        bb.check("transfer").look(case({TRANSFER: NONE}, {(transfer, THREAT): NONE}))


def test_a12_compares_with_the_attacker_who_has_all_draws() -> None:
    check = bb.check("sample-mismatch")
    look = check.look(case({PGD: ALL}, {(PGD, THREAT): HALF}, threat=INDEPENDENT))
    assert (look.fired, look.figure, look.remedy) == (True, 1 / 32, "report the stream fixed")
    look = check.look(case({PGD: "1111111110"}, {(PGD, THREAT): "1111100001"}, threat=INDEPENDENT))
    assert look.figure == 6 / 32
    assert "break 4 further images and leave 1 other image" in look.text
    with pytest.raises(bb.NotApplicable, match="has all draws that defend already"):
        check.look(case({PGD: ALL}))


@pytest.mark.parametrize(
    ("threat", "whose", "remedy"),
    [
        (INDEPENDENT, "under the stream fixed, where all draws defend and the attacker has them, ", "stream fixed"),
        (FRESH, "under the stream fixed, where all draws defend and the attacker has them, ", "stream fixed"),
        (replace(THREAT, attack_draws=1), "with all draws that defend, ", "leave out attack_draws"),
    ],
)
def test_a12_says_which_draws_defend(threat: bb.Threat, whose: str, remedy: str) -> None:
    """Under `independent` and `fresh`, other draws defend than under `fixed`."""
    look = bb.check("sample-mismatch").look(case({PGD: ALL}, {(PGD, THREAT): HALF}, threat=threat))
    assert look.text.startswith(whose + "the same attacks break 5 further images")
    assert look.remedy.endswith(remedy)


def test_a13_needs_an_iterative_attack_with_one_objective() -> None:
    for attack in (FGSM, STANDARD, NOISE):
        with pytest.raises(bb.NotApplicable, match="no reported attack is iterative and follows one objective"):
            bb.check("objectives").look(case({attack: ALL}))
