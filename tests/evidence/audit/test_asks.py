"""Every check asks for all that its look needs, before anything is measured."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.audit.case import Case
from bnnbench.evidence.audit.looking import asked, installed_checks
from bnnbench.testing.canaries import CANARIES
from tests.support.handmade import THREAT
from tests.support.measured import guarded
from tests.support.outcomes import outcome

FIVE = {label: bb.attack(label) for label in ("fgsm", "pgd", "random-sign", "square", "transfer")}
CASES: dict[str, tuple[bb.Threat, dict[str, bb.Attack]]] = {
    "default": (THREAT, {label: bb.attack(label) for label in ("fgsm", "pgd", "standard")}),
    "five": (THREAT, FIVE),
    "independent": (replace(THREAT, stream="independent"), FIVE),
    "fresh": (replace(THREAT, stream="fresh", attack_draws=2), FIVE),
    "few draws": (replace(THREAT, attack_draws=1), FIVE),
    "scores": (replace(THREAT, access="scores"), FIVE),
    "without gradients": (replace(THREAT, access="scores"), {label: FIVE[label] for label in ("pgd", "random-sign")}),
    "decisions": (replace(THREAT, access="decisions"), {"boundary": bb.attack("boundary")}),
    "l2": (replace(THREAT, norm="l2"), FIVE),
    "l1": (replace(THREAT, norm="l1"), {"pgd": bb.attack("pgd")}),
    "targeted": (replace(THREAT, goal="targeted"), FIVE),
    "no effort": (THREAT, {"fgsm": bb.attack("fgsm")}),
    "an inner attack": (THREAT, {"substitute": bb.attack("substitute")}),
    "radius zero": (replace(THREAT, epsilon=0.0), FIVE),
}
CHECKS = installed_checks()


@pytest.fixture(scope="module")
def measured() -> bb.Case:
    """Eight draws and ten images, where measures are measured."""
    canary = CANARIES["similar-draws"](seed=0)
    x, y = canary.data.test
    return replace(canary, data=bb.Data(test=(x[:10], y[:10]), classes=2)).case()


def case_of(name: str, find: Any) -> Case:
    threat, attacks = CASES[name]
    radii = [replace(threat, epsilon=epsilon) for epsilon in (threat.epsilon / 2, threat.epsilon)]
    return Case(threat, attacks, find, radii=radii, box=(0, 1))


def nothing_is_measured_yet(component: object, threat: bb.Threat | None) -> Any:
    raise AssertionError(f"asks must not ask for results: {component!r}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", CHECKS)
def test_what_is_looked_at_was_asked_for(measured: bb.Case, name: str, check: str) -> None:
    def find(component: Any, under: bb.Threat | None) -> Any:
        # Outcomes are made by hand, since only what is asked for counts. Measures are measured.
        if isinstance(component, bb.Measure):
            fewer = {"tests": 2} if hasattr(component, "tests") else {}
            return measured.result(component.model_copy(update=fewer), under)
        steps = {key: np.ones((12, 10), "f4") for key in ("objective", "broken", "surrogate_broken")}
        return replace(outcome("1111100000"), steps=steps, like_probabilities=False)

    planned = case_of(name, nothing_is_measured_yet)
    asks = {(one.component, one.threat) for one in CHECKS[check].asks(planned)}
    looking = guarded(case_of(name, find), asks, find)
    with suppress(bb.NotApplicable):
        look = CHECKS[check].look(looking)
        assert isinstance(look.fired, bool | np.bool_)
        assert look.text


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_asked_for_twice(name: str) -> None:
    case = case_of(name, nothing_is_measured_yet)
    asks = asked(case, CHECKS)
    assert len(asks) == len({(one.component, one.threat) for one in asks})
    assert all((one.threat is None) == isinstance(one.component, bb.Measure) for one in asks)


def test_a_check_that_asks_for_nothing_costs_nothing() -> None:
    case = case_of("five", nothing_is_measured_yet)
    free = {name for name, check in CHECKS.items() if not check.asks(case)}
    assert {"single-step", "zero-direction", "probabilities", "unfinished", "silent-success"} <= free
    assert not free & {"noise", "convergence", "black-box", "reference"}
