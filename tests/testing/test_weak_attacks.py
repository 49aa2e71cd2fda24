"""The weak attacks obey the rules of the core, and each differs from the template in one thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.testing import weak_attacks
from bnnbench.testing.canaries import CANARIES
from bnnbench.testing.weak_attacks import PlainSteps

WEAK = [
    one
    for one in vars(weak_attacks).values()
    if isinstance(one, type) and issubclass(one, PlainSteps) and one is not PlainSteps
]


def left(attack: bb.Attack) -> int:
    """The number of images of the linear canary that withstand an attack."""
    canary = CANARIES["linear"](seed=0)
    return int(bb.evaluate(canary.model, attack, canary.data, threat=canary.threats[0], images=100).robust.sum())


def test_the_template_is_exact_on_a_linear_model() -> None:
    exact = CANARIES["linear"](seed=0).exact
    assert exact is not None
    assert left(PlainSteps()) == exact.sum()


def test_there_is_a_weak_attack_for_each_fault() -> None:
    names = {"OneStep", "TinySteps", "WrongSign", "Corners", "LastIterate", "OneRestart", "PlainGradient"}
    assert {one.__name__ for one in WEAK} == names
    assert all("must fire" in (one.__doc__ or "") for one in WEAK)


@pytest.mark.parametrize("weak", [weak_attacks.OneStep, weak_attacks.TinySteps, weak_attacks.WrongSign])
def test_an_attack_that_is_weak_on_linear_models_leaves_more(weak: type[PlainSteps]) -> None:
    assert left(weak()) > left(PlainSteps()) + 10


def test_every_step_is_recorded() -> None:
    canary = CANARIES["linear"](seed=0)
    outcome = bb.evaluate(canary.model, PlainSteps(steps=4, restarts=2), canary.data, epsilon=0.1, images=10)
    assert outcome.steps["objective"].shape == outcome.steps["broken"].shape == (10, 10)


def test_corners_of_the_ball_are_all_that_is_seen() -> None:
    x, y = torch.full((20, 8), 0.5), torch.zeros(20, dtype=torch.long)
    found = weak_attacks.Corners()(CANARIES["linear"](seed=0).model, x, y, bb.Threat(epsilon=0.125))
    assert set(np.unique(np.abs(found.numpy() - 0.5))) == {0.125}


def test_more_effort_is_more_steps() -> None:
    assert PlainSteps(steps=3).stronger() == PlainSteps(steps=6)
