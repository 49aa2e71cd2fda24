"""Tables as data: the worst case, several seeds, and cells without a number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from outcomes import block_of, cell, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.report.latex import _latex_block
from bnnbench.report.legend import IN_A_LINE, legend
from bnnbench.report.markdown import _markdown_block
from bnnbench.statistics.intervals import wilson


def test_the_worst_case_is_per_image_not_the_weakest_mean() -> None:
    """Each attack leaves 6 of 10; no image survives both."""
    (line,) = block_of("moons", "fc", [cell("a", 0, outcome("1111110000")), cell("b", 0, outcome("0000111111"))]).lines
    clean, a, b, worst = line.figures
    assert (clean.mean, a.mean, b.mean, worst.mean) == (1.0, 0.6, 0.6, pytest.approx(0.2))
    assert (worst.low, worst.high) == wilson(2, 10)
    assert worst.marks == ""


def test_lines_are_told_apart_by_all_that_differs_in_their_threats() -> None:
    cells = [cell("a", 0, outcome("1111110000")) for _ in range(3)]
    threats = [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.1, access="scores"), bb.Threat(epsilon=0.1, norm="l2")]
    cells = [replace(own, spec=replace(own.spec, threat=threat)) for own, threat in zip(cells, threats, strict=True)]
    names = [line.threat for line in block_of("moons", "fc", cells).lines]
    assert names == ["0.1 linf gradient", "0.1 linf scores", "0.1 l2 gradient"]
    assert [line.threat for line in block_of("moons", "fc", cells[:2]).lines] == ["0.1 gradient", "0.1 scores"]


def test_radii_that_look_alike_are_written_out() -> None:
    cells = [cell("a", 0, outcome("1111110000")) for _ in range(2)]
    threats = [bb.Threat(epsilon=0.1234561), bb.Threat(epsilon=0.1234562)]
    cells = [replace(own, spec=replace(own.spec, threat=threat)) for own, threat in zip(cells, threats, strict=True)]
    assert [line.threat for line in block_of("moons", "fc", cells).lines] == ["0.1234561", "0.1234562"]


def test_a_fraction_stands_as_it_is_written() -> None:
    written = [("8/255", 8 / 255), ("0.5/255", 0.5 / 255), ("", 0.1), ("", 0.1234561)]
    cells = [cell("a", 0, outcome("1111110000")) for _ in written]
    cells = [
        replace(own, spec=replace(own.spec, threat=bb.Threat(epsilon=epsilon), radius=radius))
        for own, (radius, epsilon) in zip(cells, written, strict=True)
    ]
    block = block_of("moons", "fc", cells)
    assert [line.threat for line in block.lines] == ["8/255", "0.5/255", "0.1", "0.123456"]
    for text in (_markdown_block(block), _latex_block(block)):
        assert "8/255" in text


@pytest.mark.parametrize(
    ("threat", "told"),
    [
        (
            {},
            "Threat: l-infinity ball of radius eps; white box (gradients); "
            "attacker and defender use the same draws (3).",
        ),
        (
            {"norm": "l2", "attack_draws": 2},
            "Threat: l2 ball of radius eps; white box (gradients); "
            "the attacker uses some of the defender's draws (attacker: 2; defender: 3).",
        ),
        (
            {"stream": "independent"},
            "Threat: l-infinity ball of radius eps; white box (gradients); "
            "attacker and defender use different draws (attacker: 2; defender: 3).",
        ),
        (
            {"stream": "fresh", "attack_draws": 2, "access": "scores"},
            "Threat: l-infinity ball of radius eps; black box (scores); every query uses draws chosen anew (2).",
        ),
    ],
)
def test_every_table_states_its_threat_model(threat: dict[str, Any], told: str) -> None:
    own = cell("a", 0, replace(outcome("1111110000"), attack_draws=2 if threat else 3))
    own = replace(own, spec=replace(own.spec, threat=bb.Threat(epsilon=0.1, **threat)))
    block = block_of("moons", "fc", [own])
    assert block.attacker == told
    weaker = [note for note in block.notes if "the attacker is stronger" in note]
    assert len(weaker) == (1 if threat else 0)
    assert told in _markdown_block(block)
    assert told.replace("radius eps", r"radius $\varepsilon$") in _latex_block(block)


def test_nothing_is_said_of_draws_before_there_are_any() -> None:
    assert block_of("moons", "fc", [cell("a", 0, None, status="missing")]).attacker == (
        "Threat: l-infinity ball of radius eps; white box (gradients); attacker and defender use the same draws."
    )


def test_a_title_counts_images_once_there_are_any() -> None:
    titles = [block_of("moons", "fc", [one]).title for one in (cell("a", 0, None, status="missing"), measured())]
    assert titles == ["moons / fc: accuracy in %", "moons / fc: accuracy in %, 10 test images"]


def measured() -> Cell:
    """A cell with a result."""
    return cell("a", 0, outcome("1111110000"))


def test_a_clean_error_is_never_robust() -> None:
    (line,) = block_of("moons", "fc", [cell("a", 0, outcome("1111111111", clean="0011111111"))]).lines
    assert [figure.mean for figure in line.figures] == [0.8, 0.8, 0.8]


def test_seeds_are_averaged_at_the_number_of_distinct_images() -> None:
    cells = [cell("a", seed, outcome(robust)) for seed, robust in enumerate(["1111100000", "1111111000", "1111110000"])]
    block = block_of("moons", "fc", cells)
    figure = block.lines[0].figures[1]
    assert figure.mean == pytest.approx(0.6)
    assert (figure.low, figure.high) == pytest.approx(wilson(6, 10))
    assert figure.range == "50.0..70.0"
    assert "mean over 3 seeds" in block.title


def test_what_is_missing_is_said_and_marks_the_worst_case_partial() -> None:
    cells = [cell("a", 0, outcome("1111111100")), cell("b", 0, None, status="failed")]
    block = block_of("moons", "fc", cells)
    assert block.lines[0].figures[2].number == "failed"
    assert block.lines[0].figures[3].number == "80.0+"
    assert block.notes == ["sgd: failed (1 cell): on purpose"]
    assert block.marks == ["+"]


def test_a_mean_over_fewer_seeds_than_were_asked_for_is_marked_partial() -> None:
    cells = [cell("a", 0, outcome("1111111100")), cell("a", 1, None, status="timeout")]
    block = block_of("moons", "fc", cells)
    clean, attacked, worst = block.lines[0].figures
    assert (clean.number, attacked.number, worst.number) == ("100.0+", "timeout", "80.0+")
    assert block.marks == ["+"]
    cells = [cell("a", 0, outcome("1111111100")), cell("a", 1, outcome("1111111100"))]
    cells += [cell("b", 0, outcome("1111111100")), cell("b", 1, None, status="failed")]
    clean, *_, worst = block_of("moons", "fc", cells).lines[0].figures
    assert (clean.number, worst.number) == ("100.0", "80.0+")


def test_an_excluded_seed_is_missing_too() -> None:
    """Others have it: a mean that lacks it is no neighbour of theirs."""
    cells = [cell("a", seed, outcome("1111111100")) for seed in (0, 1)] + [cell("b", 0, outcome("1111111100"))]
    clean, a, b, worst = block_of("moons", "fc", cells).lines[0].figures
    assert [figure.number for figure in (clean, a, b, worst)] == ["100.0", "80.0", "80.0+", "80.0+"]
    other = cell("a", 0, outcome("1111111100"))
    cells = [*cells[:2], replace(other, spec=replace(other.spec, posterior="two"))]
    lines = block_of("moons", "fc", cells).lines
    assert [figure.number for figure in lines[1].figures] == ["100.0+", "80.0+", "80.0+"]


def test_doubtful_rows_are_marked() -> None:
    cells = [cell("a", 0, outcome("1111111100", zero=True), card="short")]
    block = block_of("moons", "fc", cells)
    assert block.lines[0].posterior == "sgd~"
    assert block.lines[0].figures[1].number == "80.0#"
    assert set(block.marks) == {"~", "#"}


def test_a_classifier_of_one_class_says_nothing_and_is_marked() -> None:
    found = outcome("1111111111")
    assert not found.constant  # There is only one class of labels.
    found = replace(found, label=np.array([0] * 6 + [1] * 4))
    assert found.constant
    block = block_of("moons", "fc", [cell("a", 0, found)])
    assert block.lines[0].figures[0].number == "60.0="
    assert block.marks == ["="]


@pytest.mark.parametrize(
    ("goal", "counted"),
    [
        ({"goal": "targeted"}, "targeted: numbers count images right as they are, and not given the target when"),
        ({"goal": "raise-uncertainty"}, "raise-uncertainty: numbers count images right and accepted as they are"),
        (
            {"goal": "lower-uncertainty", "keep_label": True},
            "lower-uncertainty (keep label): numbers count images that are not both right and accepted, neither as",
        ),
    ],
)
def test_under_other_goals_the_numbers_are_told_to_be_no_accuracy(goal: dict[str, Any], counted: str) -> None:
    own = cell("a", 0, replace(outcome("1111000000"), threat=bb.Threat(epsilon=0.1, **goal)))
    block = block_of("moons", "fc", [replace(own, spec=replace(own.spec, threat=bb.Threat(epsilon=0.1, **goal)))])
    assert block.notes[0].startswith(counted)
    assert block.title == "moons / fc: clean accuracy and images that withstood, in %, 10 test images"
    assert ("worst", "images at which every attack of the row failed") in legend(block, IN_A_LINE)


def test_an_accuracy_is_called_one() -> None:
    block = block_of("moons", "fc", [measured()])
    assert not [note for note in block.notes if "numbers count" in note]
    assert ("worst", "images right as they are and under every attack of the row") in legend(block, IN_A_LINE)
