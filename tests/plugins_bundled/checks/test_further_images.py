"""A2, A4, A8, A13 and A16: how many further images raise a flag. A11 compares both directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES
from bnnbench.testing.making import problem
from tests.support.handmade import NOISE, PGD, THREAT, case

ALL, NONE, HALF = "1111111111", "0000000000", "1111100000"
MEAN = bb.attack("bnnbench:transfer", source="mean-network")
STATES_FACTS = [
    (bb.check("noise"), NOISE, 5),
    (bb.check("convergence"), bb.attack("pgd", steps=30), 2),
    (bb.check("black-box"), bb.attack("square", queries=1000), 2),
    (bb.check("objectives"), bb.attack("pgd", objective=bb.objective("log-margin")), 5),
    (bb.check("reference"), bb.attack("bnnbench:standard"), 2),
]


def leaving(count: int) -> str:
    """Ten images of which so many fall."""
    return "1" * (10 - count) + "0" * count


@pytest.mark.parametrize(("check", "extra", "least"), STATES_FACTS, ids=[one[0].flag for one in STATES_FACTS])
def test_further_images_are_counted(check: bb.Check, extra: bb.Attack, least: int) -> None:
    further: dict[Any, str] = {(one.component, one.threat): ALL for one in check.asks(case({PGD: ALL}))}
    assert (extra, THREAT) in further
    look = check.look(case({PGD: ALL}, further | {(extra, THREAT): leaving(least)}))
    assert (look.fired, look.figure) == (True, 10.0 * least)
    assert f"{least} further images of 10 fall" in look.text or f"breaks {least} images of 10" in look.text
    assert f"(flag from {least} images and above {check.points:g} points)" in look.text  # type: ignore[attr-defined]
    assert " p " not in look.text
    assert look.remedy
    look = check.look(case({PGD: ALL}, further | {(extra, THREAT): leaving(least - 1)}))
    assert (look.fired, look.figure, look.remedy) == (False, 10.0 * (least - 1), "")
    # What the reported attack breaks is no gain, and what it alone breaks is no loss.
    look = check.look(case({PGD: "0000011111"}, further | {(extra, THREAT): "1111100111"}))
    assert (look.fired, look.figure) == (least == 2, 20.0)
    # The gain must be above the points too.
    stricter = check.model_copy(update={"points": 10.0 * least})
    assert not stricter.look(case({PGD: ALL}, further | {(extra, THREAT): leaving(least)})).fired
    one = check.model_copy(update={"images": 1}).look(case({PGD: ALL}, further | {(extra, THREAT): leaving(1)}))
    assert one.fired
    assert "1 further image of 10 falls" in one.text or "breaks 1 image of 10" in one.text


@pytest.mark.parametrize(("check", "extra", "least"), STATES_FACTS, ids=[one[0].flag for one in STATES_FACTS])
def test_too_few_images_to_raise_the_flag_are_told(check: bb.Check, extra: bb.Attack, least: int) -> None:
    further: dict[Any, str] = {(one.component, one.threat): ALL for one in check.asks(case({PGD: ALL}))}
    told = "1 image withstands of 10" if least == 2 else "4 images withstand of 10"
    with pytest.raises(bb.NotApplicable, match=f"{told}, too few to raise it"):
        check.look(case({PGD: leaving(11 - least)}, further))
    # Where none withstands, none can be found: the number is right.
    assert not check.look(case({PGD: NONE}, further)).fired
    assert check.look(case({PGD: leaving(10 - least)}, further | {(extra, THREAT): NONE})).fired
    # A gain that the user calls too small is looked at.
    assert not check.model_copy(update={"points": 100.0}).look(case({PGD: ALL}, further)).fired


def test_a11_needs_five_images_that_the_surrogate_alone_breaks() -> None:
    check = bb.check("transfer")
    look = check.look(case({PGD: ALL}, {(MEAN, THREAT): HALF}))
    assert (look.fired, look.figure, look.threshold) == (True, 50.0, 0.5)
    assert "5 further images of 10 fall, and 0 do not: 50.0 points (flag above 0.5 points with p below" in look.text
    assert "p 0.031" in look.text
    assert look.remedy
    look = check.look(case({PGD: ALL}, {(MEAN, THREAT): "1111110000"}))
    assert (look.fired, look.figure, look.remedy) == (False, 40.0, "")
    look = check.look(case({PGD: "0000011111"}, {(MEAN, THREAT): "1111100111"}))
    assert (look.fired, look.figure) == (False, -30.0)
    look = check.look(case({PGD: "1111111110"}, {(MEAN, THREAT): "1111111101"}))
    assert "1 further image of 10 falls, and 1 does not: 0.0 points" in look.text


class Nothing(bb.Attack):
    """Leaves every input as it is."""

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        return x.clone()


def test_a16_sees_a_few_images_of_an_attack_that_does_nothing() -> None:
    """At a small radius few images of a linear classifier can be broken. The exact number is known."""
    canary, few = CANARIES["linear"](seed=0), 60
    inputs, labels = canary.data.test
    data = bb.Data(test=(inputs[:few], labels[:few]), bounds=canary.data.bounds, classes=2)
    small = replace(canary, data=data, threats=(bb.Threat(epsilon=0.01),), attacks={"none": Nothing()})
    look = bb.check("reference").look(small.case())
    assert look.fired
    (weight, _), x = problem(0), np.asarray(data.test[0], float)
    side = np.sign((x - 0.5) @ weight)
    nearest = np.clip(x - 0.01 * side[:, None] * np.sign(weight), 0, 1)
    falls = np.sign((nearest - 0.5) @ weight) != side
    assert 2 <= falls.sum() < 5
    assert look.figure == pytest.approx(100 * falls.sum() / few)
