"""A9 and A10: the recorded steps of ten images that are made by hand, and of attacks whose gain is known."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES
from tests.support.handmade import PGD, THREAT, case, stepped

ALL, NONE = "1111111111", "0000000000"
FRESH = replace(THREAT, stream="fresh", attack_draws=2)
STANDARD = bb.attack("standard")


def test_a9_is_the_share_of_the_gain_in_the_last_tenth_of_the_steps() -> None:
    rising = stepped(ALL, objective=[[step] * 10 for step in range(11)])
    look = bb.check("unfinished").look(case({PGD: rising}))
    assert (look.fired, look.figure, look.threshold) == (True, pytest.approx(0.1), 0.01)
    assert not bb.check("unfinished", share=0.11).look(case({PGD: rising})).fired
    # The best so far counts: a fall at the end is no gain. At a step without a query there is no number.
    flat = stepped(ALL, objective=[[step] * 10 for step in (0, 1, 2, 3, np.nan, 4, 4, 4, 2, 1)])
    assert bb.check("unfinished").look(case({PGD: flat})).figure == 0


def test_a9_looks_at_images_that_withstand_attacks_with_one_objective() -> None:
    check = bb.check("unfinished")
    values = [[float(step)] * 5 + [min(step, 3.0)] * 5 for step in range(11)]
    assert check.look(case({PGD: stepped("1111100000", objective=values)})).fired
    assert check.look(case({PGD: stepped("0000011111", objective=values)})).figure == 0
    with pytest.raises(bb.NotApplicable):
        check.look(case({PGD: stepped(NONE, objective=values)}))
    with pytest.raises(bb.NotApplicable):
        check.look(case({PGD: stepped(ALL, objective=values[:4])}))
    with pytest.raises(bb.NotApplicable):
        check.look(case({STANDARD: stepped(ALL, objective=values)}))


RUN = [*range(9), 8.0, 8.0]
"""A run that has finished: its last tenth brings nothing."""


def in_runs(*runs: list[float]) -> list[list[float]]:
    """The steps of ten images that record runs one after another."""
    return [[float(value)] * 10 for run in runs for value in run]


def test_a9_takes_the_last_tenth_of_each_run() -> None:
    check, two = bb.check("unfinished"), bb.attack("pgd", restarts=2)
    rising = [float(step) for step in range(11)]
    # By hand: of gains of 10 and 8, the last tenths bring 1 and 0.
    look = check.look(case({two: stepped(ALL, objective=in_runs(rising, RUN))}))
    assert (look.fired, look.figure) == (True, pytest.approx(1 / 18))
    # The last run alone is better, and has finished: that is no gain of last steps.
    better = [value + 5 for value in RUN]
    assert check.look(case({two: stepped(ALL, objective=in_runs(RUN, better))})).figure == 0
    ten = bb.attack("pgd", restarts=10)
    assert check.look(case({ten: stepped(ALL, objective=in_runs(*[RUN] * 9, better))})).figure == 0
    assert check.look(case({ten: stepped(ALL, objective=in_runs(*[rising] * 10))})).figure == pytest.approx(0.1)


class Holding(bb.Attack):
    """Runs other attacks, one after another."""

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    attacks: tuple[bb.AttackParameter, ...] = (bb.attack("pgd", restarts=2),)
    restarts: int = 1

    @property
    def maximises(self) -> bb.Objective | None:
        return self.attacks[0].maximises


def test_a9_counts_the_runs_of_an_attack_that_is_held() -> None:
    check = bb.check("unfinished")
    better = [value + 5 for value in RUN]
    assert check.look(case({Holding(): stepped(ALL, objective=in_runs(RUN, better))})).figure == 0
    four = stepped(ALL, objective=in_runs(RUN, better, RUN, better))
    assert check.look(case({Holding(restarts=2): four})).figure == 0


@pytest.mark.parametrize(
    ("attack", "steps", "changes"),
    [
        (bb.attack("pgd", restarts=2), in_runs(RUN, RUN[:10]), {}),
        (bb.attack("pgd", restarts=3), in_runs(RUN, RUN), {}),
        (bb.attack("pgd", restarts=4), in_runs(*[RUN[:8]] * 4), {}),
        (Holding(attacks=(PGD, bb.attack("pgd", steps=30))), in_runs(RUN, RUN), {}),
        # An image may be broken with the attacker's draws, so that a run was cut short.
        (bb.attack("pgd", restarts=2, stop_when_broken=True), in_runs(RUN, RUN), {"stream": "independent"}),
    ],
    ids=["not divisible", "a run is left out", "runs too short", "several attacks", "stops early"],
)
def test_a9_does_not_guess_runs(attack: bb.Attack, steps: list[list[float]], changes: dict[str, str]) -> None:
    threat = replace(THREAT, **changes)  # type: ignore[arg-type]
    with pytest.raises(bb.NotApplicable, match="runs that can be told apart"):
        bb.check("unfinished").look(case({attack: stepped(ALL, objective=steps)}, threat=threat))


def test_a9_is_the_same_for_any_number_of_restarts() -> None:
    """Short steps of one length rise to the end of each run, from wherever it starts."""
    canary, figures = CANARIES["linear"](seed=0), []
    for restarts in (1, 8):
        short = {"steps": 20, "step_schedule": "constant", "relative_step_size": 0.02}
        attacks = {"pgd": bb.attack("pgd", restarts=restarts, **short)}
        look = bb.check("unfinished").look(replace(canary, attacks=attacks).case())
        assert look.fired
        figures.append(look.figure)
    assert figures[1] == pytest.approx(figures[0], rel=0.1)


def test_a10_counts_successes_that_were_lost() -> None:
    check = bb.check("silent-success")
    broken = [[0.0] * 10, [1.0] * 4 + [np.nan] * 6, [0.0] * 10]
    look = check.look(case({PGD: stepped("1100000000", broken=broken)}))
    assert (look.fired, look.figure) == (True, 2)
    assert not check.look(case({PGD: stepped("0000111111", broken=broken)})).fired
    # An attack sees the predictive alone, from which the mutual information is not known.
    information = replace(THREAT, goal="raise-uncertainty", score="mutual-information")
    for other in (
        case({PGD: ALL}),
        case({PGD: stepped(ALL, broken=broken)}, threat=FRESH),
        case({PGD: stepped(ALL, broken=broken)}, threat=information),
    ):
        with pytest.raises(bb.NotApplicable):
            check.look(other)
