"""The sentences about threats, and the notes below tables: they are true, and leave no warning out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from outcomes import cell, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.report.words import attacker, notes

SHORT, EVAL = "posterior is short: ", "posterior is for a network in this state: batch norm keeps its statistics"


def warned(seed: int, *warnings: str, rhat: float | None = None, posterior: str = "sgd", attack: str = "a") -> Cell:
    """A cell of a posterior at a seed, with these warnings."""
    own = cell(attack, seed, outcome("1111110000"), card="short")
    return replace(own, spec=replace(own.spec, posterior=posterior), warnings=list(warnings), rhat=rhat)


def test_a_warning_that_all_seeds_share_is_given_once() -> None:
    cells = [warned(seed, SHORT + "too few draws", attack=attack) for seed in (0, 1) for attack in ("a", "b")]
    assert notes(cells) == ["sgd: posterior is short: too few draws"]


def test_the_warnings_of_all_seeds_are_given_with_their_seeds() -> None:
    """That of the last seed alone was given, which may be the best one."""
    cells = [warned(0, SHORT + "R-hat 9.00, ESS 2"), warned(1, SHORT + "R-hat 1.02, ESS 90"), warned(2)]
    assert notes(cells) == ["sgd: posterior is short: R-hat 9.00, ESS 2 (seed 0); R-hat 1.02, ESS 90 (seed 1)"]
    cells = [warned(0, SHORT + "slope 0.9"), warned(3, SHORT + "slope 0.9"), warned(1)]
    assert notes(cells) == ["sgd: posterior is short: slope 0.9 (seeds 0, 3)"]


def test_of_many_seeds_the_worst_are_given() -> None:
    rhats = [1.1, 1.5, 1.2, None, 9.0, 1.3]
    cells = [warned(seed, f"{SHORT}why {seed}", rhat=rhat) for seed, rhat in enumerate(rhats)]
    assert notes(cells) == ["sgd: posterior is short: why 3 (seed 3); why 4 (seed 4); why 1 (seed 1); and 3 more seeds"]


def test_several_warnings_of_one_posterior_are_all_given() -> None:
    cells = [warned(0, SHORT + "too few draws", EVAL), warned(1, SHORT + "too few draws", EVAL)]
    cells += [warned(seed, EVAL, posterior="other") for seed in (0, 1)]
    assert notes(cells) == [f"sgd: {SHORT}too few draws", f"sgd: {EVAL}", f"other: {EVAL}"]


def with_draws(
    numbers: Sequence[tuple[int, int] | None], limit: int = 8, stream: Any = "fixed", asked: int | None = 4
) -> list[Cell]:
    """Cells of posteriors p0, p1, ... with these numbers of draws that attack and defend; None without a result."""
    cells = []
    for number, draws in enumerate(numbers):
        found = None if draws is None else replace(outcome("1111110000"), attack_draws=draws[0], draws=draws[1])
        own = cell("a", 0, found, status="missing" if draws is None else "ok")
        threat = bb.Threat(epsilon=0.1, stream=stream, attack_draws=asked)
        cells.append(replace(own, spec=replace(own.spec, posterior=f"p{number}", threat=threat, draws=limit)))
    return cells


SAME, OTHERS = "attacker and defender use the same draws", "the attacker uses {} of the defender's draws"


@pytest.mark.parametrize(
    ("cells", "said", "weaker"),
    [
        (with_draws([(4, 4)]), f"{SAME} (4)", False),
        (with_draws([(4, 4), (4, 4)], limit=4), f"{SAME} (4)", False),
        (with_draws([(4, 8)]), f"{OTHERS.format('some')} (attacker: 4; defender: 8)", True),
        (
            with_draws([(4, 4), (4, 8), (4, 8)]),
            f"{OTHERS.format('at most 4')} (attacker: 4; defender: 4 for p0, 8 otherwise)",
            True,
        ),
        (with_draws([None]), OTHERS.format("at most 4"), True),
        (with_draws([None], limit=4), SAME, False),
        (with_draws([(4, 4), None]), f"{SAME} (4)", False),
        (with_draws([(4, 4)], stream="fresh"), "every query uses draws chosen anew (4)", True),
        (with_draws([(4, 4)], stream="fresh", limit=4), "every query uses all draws (4)", False),
        (
            with_draws([(4, 4)], stream="independent"),
            "attacker and defender use different draws (attacker: 4; defender: 4)",
            True,
        ),
        (with_draws([(8, 8)], asked=None), f"{SAME} (8)", False),
    ],
)
def test_what_is_said_of_draws_is_true(cells: list[Cell], said: str, weaker: bool) -> None:
    assert attacker(cells) == f"Threat: l-infinity ball of radius eps; white box (gradients); {said}."
    assert any("the attacker is stronger" in note for note in notes(cells)) == weaker
