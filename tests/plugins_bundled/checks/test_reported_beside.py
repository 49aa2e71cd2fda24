"""What counts for a check, and what it says where attacks were not run or it has nothing to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.errors import AccessRefused, Incompatible
from bnnbench.testing.canaries import CANARIES
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome

ALL, NONE, HALF = "1111111111", "0000000000", "1111100000"
SQUARE, TRANSFER = bb.attack("square", queries=1000), bb.attack("bnnbench:transfer", source="mean-network")
NES, SUBSTITUTE, MORE_NOISE = bb.attack("nes"), bb.attack("substitute"), bb.attack("random-sign", tries=7)
ONE_DRAW = bb.attack("transfer", source="one-draw")
CASES = {
    "noise": (bb.check("noise"), NOISE, MORE_NOISE, "RandomSign 1"),
    "black-box": (bb.check("black-box"), SQUARE, NES, "EstimatedGradient 1"),
    "transfer": (bb.check("transfer"), TRANSFER, ONE_DRAW, "Transfer 1"),
    "substitute": (bb.check("transfer"), TRANSFER, SUBSTITUTE, "Substitute 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reported_attack_of_the_same_kind_counts(name: str) -> None:
    check, own, reported, label = CASES[name]
    look = check.look(case({PGD: ALL, reported: HALF}, {(own, THREAT): ALL}))
    assert look.fired
    assert f"(or the reported {label})" in look.text
    # What both break together counts.
    assert check.look(case({PGD: ALL, reported: "1111100111"}, {(own, THREAT): "1111111000"})).fired
    assert not check.look(case({PGD: ALL, reported: ALL}, {(own, THREAT): ALL})).fired


@pytest.mark.parametrize("name", CASES)
def test_the_own_attack_of_a_check_is_not_named_as_a_reported_one(name: str) -> None:
    check, own, _, _ = CASES[name]
    look = check.look(case({PGD: ALL, own: HALF}))
    assert look.fired
    assert "reported" not in look.text


@pytest.mark.parametrize("name", CASES)
def test_a_reported_attack_counts_where_that_of_the_check_was_not_run(name: str) -> None:
    check, _, reported, _ = CASES[name]
    assert check.look(case({PGD: ALL, reported: HALF})).fired
    with pytest.raises(bb.NotApplicable, match="it was not measured"):
        check.look(case({PGD: ALL, reported: ALL}))


@pytest.mark.parametrize("other", [MORE_NOISE, SUBSTITUTE], ids=["noise", "surrogate"])
def test_a8_leaves_noise_and_surrogates_to_other_checks(other: bb.Attack) -> None:
    assert not bb.check("black-box").look(case({PGD: ALL, other: NONE}, {(SQUARE, THREAT): ALL})).fired


STEPS, RESTARTS = bb.attack("pgd", steps=30), bb.attack("pgd", restarts=2)


def test_a4_doubles_steps_and_restarts() -> None:
    check = bb.check("convergence")
    assert [one.component for one in check.asks(case({PGD: ALL}))] == [STEPS, RESTARTS]
    for found in (STEPS, RESTARTS):
        look = check.look(case({PGD: ALL}, {(STEPS, THREAT): ALL, (RESTARTS, THREAT): ALL} | {(found, THREAT): HALF}))
        assert look.fired
        assert "with twice the steps, queries or restarts of the same attacks, 5 further images" in look.text


@pytest.mark.parametrize(
    ("attack", "stronger"),
    [
        (bb.attack("pgd", random_start=False), [bb.attack("pgd", random_start=False, steps=30)]),
        (bb.attack("mi-fgsm"), [bb.attack("mi-fgsm").stronger()]),
        (
            bb.attack("transfer", attack=PGD),
            [bb.attack("transfer", attack=STEPS), bb.attack("transfer", attack=RESTARTS)],
        ),
        (FGSM, []),
    ],
)
def test_a4_asks_for_what_an_attack_can_do_more(attack: bb.Attack, stronger: list[bb.Attack]) -> None:
    assert [one.component for one in bb.check("convergence").asks(case({attack: ALL}))] == stronger


def test_what_was_not_run_keeps_no_flag_that_is_raised_and_no_check_quiet() -> None:
    check = bb.check("convergence")
    assert check.look(case({PGD: ALL}, {(STEPS, THREAT): HALF})).fired
    with pytest.raises(bb.NotApplicable, match="it was not measured"):
        check.look(case({PGD: ALL}, {(STEPS, THREAT): ALL}))


def test_an_attack_without_an_outcome_stops_no_check_of_the_others() -> None:
    """Its variants have no outcome either."""
    found = case({PGD: ALL}, {(STEPS, THREAT): HALF, (RESTARTS, THREAT): ALL})
    both = bb.Case(THREAT, {"square": bb.attack("square"), **found.attacks}, found.result)
    assert list(both.missing) == ["square"]
    assert bb.check("convergence").look(both).fired
    widest = replace(THREAT, epsilon=1.0)
    found = case({PGD: ALL}, {(PGD, widest): NONE})
    both = bb.Case(THREAT, {"apgd": bb.attack("apgd"), **found.attacks}, found.result, box=(0, 1))
    assert not bb.check("unconstrained").look(both).fired


def test_a3_is_not_raised_by_attacks_that_were_not_run() -> None:
    other, smaller, widest = bb.attack("apgd"), replace(THREAT, epsilon=0.05), replace(THREAT, epsilon=1.0)
    check = bb.check("unconstrained")
    with pytest.raises(bb.NotApplicable, match="it was not measured"):
        check.look(case({PGD: ALL, other: ALL}, {(PGD, widest): ALL}))
    assert not check.look(case({PGD: ALL, other: ALL}, {(PGD, widest): NONE})).fired
    check = bb.check("radius-rise")
    assert check.look(case({PGD: ALL, other: ALL}, {(PGD, smaller): HALF}, radii=[smaller])).fired
    with pytest.raises(bb.NotApplicable, match="it was not measured"):
        check.look(case({PGD: ALL, other: ALL}, {(PGD, smaller): ALL}, radii=[smaller]))
    with pytest.raises(bb.NotApplicable, match="at the smaller radii"):
        check.look(case({PGD: ALL}, radii=[smaller]))


@pytest.mark.parametrize(("threat", "lacks"), [(THREAT, False), (replace(THREAT, stream="independent"), True)])
def test_where_the_attacker_lacks_draws_the_advice_is_to_give_them(threat: bb.Threat, lacks: bool) -> None:
    further = {(NOISE, threat): HALF, (SQUARE, threat): HALF, (PGD, replace(threat, epsilon=1.0)): ALL}
    for name in ("noise", "black-box", "unconstrained"):
        look = bb.check(name).look(case({PGD: ALL}, further, threat=threat))
        assert look.fired
        assert ("lacks draws" in look.remedy) == lacks


@pytest.mark.parametrize("goal", ["raise-uncertainty", "lower-uncertainty"])
def test_a13_asks_for_nothing_where_attacks_follow_no_objective(goal: str) -> None:
    """To goals about uncertainty every attack follows the score, so that other objectives change nothing."""
    check, about = bb.check("objectives"), case({PGD: ALL}, threat=bb.Threat(epsilon=0.1, goal=goal))  # type: ignore[arg-type]
    assert check.asks(about) == []
    with pytest.raises(bb.NotApplicable, match=f"follow the score to the goal '{goal}'"):
        check.look(about)


@pytest.mark.parametrize(
    "reported", [SQUARE, NES, bb.attack("square", queries=50)], ids=["own", "nes", "fewer queries"]
)
def test_a8_advises_no_attack_whose_images_are_reported_already(reported: bb.Attack) -> None:
    check, label = bb.check("black-box"), f"{type(reported).__name__} 1"
    for own in ({} if reported == SQUARE else {(SQUARE, THREAT): "1111100111"}, {}):
        look = check.look(case({PGD: ALL, reported: HALF}, own))
        assert look.fired
        assert look.remedy == f"the number counts these images already ({label}): mend the masked gradient"


STANDARD, FEWER = bb.attack("standard"), bb.attack("square", queries=50)


@pytest.mark.parametrize(
    ("reported", "advised"),
    [
        ([], "`square` or `standard`"),
        ([NES], "`square` or `standard`"),
        ([FEWER], "`standard`"),
        ([STANDARD], "`square`"),
        ([FEWER, STANDARD], "`square` with 1000 queries"),
    ],
)
def test_a8_advises_an_attack_that_is_not_reported(reported: list[bb.Attack], advised: str) -> None:
    """The images that it breaks withstand all that is reported."""
    look = bb.check("black-box").look(case(dict.fromkeys([PGD, *reported], ALL), {(SQUARE, THREAT): HALF}))
    assert look.remedy == f"report {advised} too, or mend the masked gradient"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "pgd"),
        ({"access": "scores"}, "square"),
        ({"access": "decisions"}, "boundary"),
        ({"access": "decisions", "norm": "l2"}, "boundary"),
        ({"access": "decisions", "norm": "l1"}, ""),
        ({"access": "decisions", "goal": "raise-uncertainty"}, ""),
    ],
)
@pytest.mark.parametrize("differentiable", [True, False])
def test_p5_advises_an_attack_that_the_threat_allows(changes: dict[str, str], name: str, differentiable: bool) -> None:
    threat = bb.Threat(**{"epsilon": 0.1, "bounds": (0, 1), **changes})  # type: ignore[arg-type]
    gradient = outcome(ALL).zero_gradient if differentiable else None
    found = replace(outcome(ALL), zero_gradient=gradient, steps={"surrogate_broken": np.ones((1, 10))})
    look = bb.check("surrogate-failure").look(case({SUBSTITUTE: found}, threat=threat))
    name = "square" if name == "pgd" and not differentiable else name
    assert look.fired
    assert look.remedy == f"attack the predictive itself{f', as `{name}` does' if name else ''}"


def allowed(threat: bb.Threat, name: str) -> bool:
    """Whether an attack runs under a threat."""
    canary = CANARIES["linear"](seed=0)
    try:
        bb.evaluate(canary.model, bb.attack(name), canary.data, threat=threat, images=3)
    except (AccessRefused, Incompatible):
        return False
    return True


@pytest.mark.parametrize("access", ["gradient", "scores", "decisions"])
def test_what_p5_advises_runs(access: Any) -> None:
    threat = bb.Threat(epsilon=0.1, bounds=(0, 1), access=access)
    found = replace(outcome(ALL), steps={"surrogate_broken": np.ones((1, 10))})
    remedy = bb.check("surrogate-failure").look(case({SUBSTITUTE: found}, threat=threat)).remedy
    assert allowed(threat, remedy.split("`")[1])
    assert allowed(threat, "pgd") == (access == "gradient")
