"""Every canary: the flags that must be raised are, and none is in the sound cases."""

from __future__ import annotations

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.audit.looking import installed_checks
from bnnbench.testing.canaries import CANARIES

MADE = {name: make(seed=3) for name, make in CANARIES.items()}
BROKEN = [(name, check) for name, canary in MADE.items() for check in canary.checks]
REFUSED = ["stochastic"]
"""Canaries whose model is refused before anything is measured."""


@pytest.fixture(scope="module")
def cases() -> dict[str, bb.Case]:
    """The case of each canary, whose measurements its checks share."""
    return {name: canary.case() for name, canary in MADE.items() if name not in REFUSED}


@pytest.mark.parametrize(("name", "check"), [pair for pair in BROKEN if pair[0] not in REFUSED])
def test_the_flag_is_raised(cases: dict[str, bb.Case], name: str, check: str) -> None:
    look = bb.check(check).look(cases[name])
    assert look.fired, look.text
    assert look.text
    assert "\n" not in look.text + look.remedy


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_model_is_explained(name: str) -> None:
    audit = MADE[name].audit()
    assert MADE[name].missed(audit) == []
    assert (audit.verdict, audit.reported, audit.bracket) == ("UNTRUSTWORTHY", None, None)
    assert audit.refusal


@pytest.mark.parametrize("name", ["linear", "wrong-everywhere"])
def test_no_flag_is_raised_in_a_sound_case_and_the_number_is_exact(name: str) -> None:
    canary = MADE[name]
    audit = canary.audit()
    assert audit.flags == []
    assert audit.verdict == "NOT REFUTED"
    assert canary.exact is not None
    assert audit.reported == canary.exact.mean()
    assert audit.bracket is not None
    assert audit.bracket.high == canary.exact.mean()


def test_each_check_has_a_canary() -> None:
    assert {check for _, check in BROKEN} == set(installed_checks())


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_small_repeatable_and_says_what_must_fire(name: str) -> None:
    canary, again, other = MADE[name], CANARIES[name](seed=3), CANARIES[name](seed=4)
    assert canary.name == name
    x, y = (np.asarray(one) for one in canary.data.test)
    assert x.shape[0] == 100
    assert x.min() >= 0
    assert x.max() <= 1
    assert np.array_equal(x, again.data.test[0])
    assert not np.array_equal(x, other.data.test[0])
    told = CANARIES[name].__doc__ or ""
    assert all(f"`{check}`" in told for check in canary.checks)
    assert canary.checks or "No flag may be raised" in told
    if name not in ("constant", "other-draws", "stochastic", "wrong-everywhere"):
        predicted = bb.predictive(canary.model).log_probs(x).argmax(-1).numpy()
        assert np.array_equal(predicted, y)


def test_what_was_missed_is_told() -> None:
    audit = bb.Audit(bb.Threat(epsilon=0.1), [])
    assert MADE["shattered"].missed(audit) == ["zero-direction", "black-box"]
    assert MADE["linear"].missed(audit) == []
