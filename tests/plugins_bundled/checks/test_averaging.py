"""A14 on ensembles whose gradients are known."""

from __future__ import annotations

import numpy as np
import pytest
from cases import case_of, looked
from known_gradients import autoregressive, planted

import bnnbench as bb


def look(each: np.ndarray, *, chains: int | None = None) -> bb.Look:
    """What the check sees in draws with these gradients (S, D)."""
    predictive, data = planted(each, chains=chains)
    return looked(bb.check("averaging"), predictive, data, 0.1)


def test_independent_gradients_without_a_mean_are_only_averaged() -> None:
    found = look(np.random.default_rng(0).normal(size=(50, 20)))
    assert found.fired
    assert "no plateau" in found.text


def test_a_plateau_is_told() -> None:
    found = look(0.3 + np.random.default_rng(1).normal(size=(50, 20)))
    assert found.fired
    assert "a plateau above zero" in found.text


def test_gradients_that_cancel_fall_faster_than_averaging_explains() -> None:
    half = np.random.default_rng(2).normal(size=(25, 20))
    found = look(np.concatenate([half, -half]))
    assert not found.fired
    assert "below what averaging explains" in found.text
    assert found.figure < 0 == found.threshold


def test_gradients_that_do_not_fall_need_no_explanation() -> None:
    assert not look(3 + 0.1 * np.random.default_rng(3).normal(size=(20, 5))).fired


def test_dependent_draws_without_a_mean_have_no_plateau() -> None:
    found = look(autoregressive(4, 150, 25, 0.9), chains=4)
    assert found.fired
    assert "no plateau" in found.text


def test_short_chains_are_said_to_be_taken_as_independent() -> None:
    assert "taken as independent" in look(np.random.default_rng(4).normal(size=(7, 20)), chains=1).text


@pytest.mark.parametrize(
    ("each", "message"),
    [(np.ones((4, 3)), "needs 5 effective draws, and there are 4"), (np.zeros((9, 3)), "all gradients are zero")],
)
def test_without_enough_to_look_at_it_does_not_apply(each: np.ndarray, message: str) -> None:
    with pytest.raises(bb.NotApplicable, match=message):
        look(each)


def test_an_attacker_without_gradients_asks_for_nothing() -> None:
    predictive, data = planted(np.ones((9, 3)))
    case = case_of(predictive, data, bb.Threat(epsilon=0.1, access="scores"), {"square": bb.attack("square")})
    assert list(bb.check("averaging").asks(case)) == []
    with pytest.raises(bb.NotApplicable, match="no gradients"):
        bb.check("averaging").look(case)
