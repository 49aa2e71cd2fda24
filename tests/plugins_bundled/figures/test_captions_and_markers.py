"""The bundled figures say the goal as tables do, and mark the numbers in which an outcome is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn import attacked, drawn, proven, series_of

import bnnbench as bb
from bnnbench.evidence.threat_names import threat_names

HALF, NONE = "1111100000", "0" * 10
UNCERTAIN = {"goal": "lower-uncertainty", "score": "mutual-information", "keep_label": True, "level": 0.25}
GOALS = [{"goal": "targeted", "target": 1}, {"goal": "raise-uncertainty"}, UNCERTAIN]
FMN = bb.attack("fmn")


def cells_for(name: str, **options: Any) -> list[Any]:
    """Cells of which a figure has a picture."""
    if name == "sweep":
        return [
            attacked(f"pgd@steps={steps}", HALF, component=bb.attack("pgd", steps=steps), **options)
            for steps in (5, 50)
        ]
    if name == "distances":
        return [attacked("fmn", HALF, component=FMN, **options)]
    return [attacked("pgd", HALF, **options)]


@pytest.mark.parametrize("threat", GOALS)
@pytest.mark.parametrize("name", ["radius", "sweep", "distances", "selective"])
def test_captions_name_the_goal_as_tables_do(name: str, threat: dict[str, Any]) -> None:
    cells = cells_for(name, threat=threat)
    names = threat_names([*cells, attacked("pgd", HALF)])
    goal = names[cells[0].spec.threat].removeprefix("0.1 ")
    assert goal.startswith(threat["goal"])
    (picture,) = drawn(name, cells)
    assert f"goal: {goal}" in picture.caption
    if name in ("radius", "sweep"):
        assert cells[0].spec.threat.aim.withstood in picture.caption
        assert picture.y.label == "images that withstood (%)"
        assert picture.title.startswith("Images that withstood ")
    assert "obust accuracy" not in f"{picture.title} {picture.y.label} {picture.caption}"


@pytest.mark.parametrize("name", ["radius", "sweep"])
def test_an_accuracy_is_called_one(name: str) -> None:
    (picture,) = drawn(name, cells_for(name))
    assert picture.title.startswith("Robust accuracy ")
    assert picture.y.label == "robust accuracy (%)"


def test_selective_says_what_the_attack_aims_at() -> None:
    at_class, at_uncertainty = (
        drawn("selective", [attacked("pgd", HALF, threat=threat)])[0].caption for threat in ({}, UNCERTAIN)
    )
    assert "Attacked by pgd, which aims at the class and not at the uncertainty" in at_class
    assert "Attacked by pgd, which aims at the uncertainty (goal: lower-uncertainty (score mutual-inf" in at_uncertainty


def test_robust_accuracy_starts_from_the_clean_accuracy_only_if_that_is_what_it_is_at_radius_0() -> None:
    for threat, start in (({}, True), ({"goal": "targeted"}, True), ({"goal": "raise-uncertainty"}, False)):
        (picture,) = drawn("radius", [attacked("pgd", HALF, threat=threat)])
        assert (0.0 in picture.panels[0].series[0].x) is start
        assert ("At radius 0: clean accuracy." in picture.caption) is start


@pytest.mark.parametrize("threat", [{}, *GOALS])
def test_the_caption_of_distances_says_what_counts_as_0_under_each_goal(threat: dict[str, Any]) -> None:
    (picture,) = drawn("distances", cells_for("distances", threat=threat))
    assert "at which the attack broke an image; 0 if it is not robust as it is." in picture.caption


def test_the_distance_is_0_where_an_image_is_not_robust_as_it_is() -> None:
    """The clean images are certain: their entropy is 0.33 or 0.50, and the level that decides is given."""
    distance = np.linspace(0.01, 0.1, 10)
    for level, share in ((0.3, 1.0), (0.4, 0.5)):  # Of the goal to raise the entropy at images that are right.
        threat: dict[str, Any] = {"goal": "raise-uncertainty", "level": level}
        changes = {"distance": distance, "threat": bb.Threat(0.1, **threat)}
        cell = attacked("fmn", NONE, component=FMN, threat=threat, changes=changes, clean=HALF)
        (series,) = drawn("distances", [cell])[0].panels[0].series
        assert series.y[0] == share
        assert series.y[-1] == 1.0


@pytest.mark.parametrize("name", ["sweep", "distances", "selective"])
def test_a_missing_seed_has_open_markers(name: str) -> None:
    whole = cells_for(name)
    label = "pgd" if name == "distances" else "fgsm"
    (picture,) = drawn(name, whole)
    assert not any(any(one.open) for panel in picture.panels for one in panel.series)
    assert "Open markers" not in picture.caption
    (picture,) = drawn(name, [*whole, attacked(label, HALF, seed=1, component=bb.attack("deepfool"))])
    assert all(one.open and all(one.open) for panel in picture.panels for one in panel.series)
    assert "Open markers: no evidence, or an outcome is missing (see the table)." in picture.caption


def test_selective_marks_that_the_strongest_attack_may_be_missing() -> None:
    (picture,) = drawn("selective", [attacked("pgd", HALF), attacked("fgsm", None)])
    assert {one.label: all(one.open) for one in picture.panels[0].series} == {
        "clean": False,
        "attacked, radius 0.1": True,
    }


def test_the_bracket_of_radius_is_that_of_the_seeds_that_have_both_ends() -> None:
    """Seed 0 has the upper end alone, seed 2 the lower one alone; at seed 1 they are 0.5 and 0.2."""
    cells = [
        attacked("pgd", "1111111111"),
        attacked("pgd", HALF, seed=1),
        proven("crown", "1100000000", seed=1),
        proven("crown", "1111111111", seed=2),
    ]
    (picture,) = drawn("radius", cells)
    (area,) = picture.panels[0].areas
    assert (area.x, area.low, area.high) == ((0.0, 0.1), (1.0, 0.2), (1.0, 0.5))
    assert "The bracket is that of the seeds that have both." in picture.caption
    apart = [cells[0], cells[3]]
    assert not drawn("radius", apart)[0].panels[0].areas


def test_fresh_draws_can_be_swept_over() -> None:
    cells = [
        attacked("pgd", robust, threat={"stream": "fresh", "attack_draws": draws})
        for draws, robust in ((1, HALF), (3, NONE))
    ]
    (picture,) = drawn("sweep", cells)
    assert dict(zip(picture.panels[0].series[0].x, picture.panels[0].series[0].y, strict=True)) == {1: 0.5, 3: 0.0}
    assert "every query uses draws chosen anew." in picture.caption
    assert "every query uses 3 draws chosen anew." in drawn("radius", cells[1:])[0].caption


def test_the_caption_says_the_threat() -> None:
    threat = {"stream": "fixed", "attack_draws": 2, "queries": 9, "access": "decisions", "goal": "targeted"}
    (picture,) = drawn("radius", [attacked("pgd", HALF, threat=threat)])
    assert (
        "Threat: l-infinity ball; the attacker is given predicted classes alone; at most 9 queries per image; "
        "the attacker uses at most 2 of the defender's draws; goal: targeted. 10 test images."
    ) in picture.caption


def test_the_width_of_a_bracket_is_that_of_the_seeds_that_have_both_ends() -> None:
    """At seed 1 nothing is proven; where both ends are known, they meet."""
    cells = [attacked("pgd", "1100000000"), proven("crown", "1100000000"), attacked("pgd", "1111111111", seed=1)]
    (picture,) = drawn("bracket", cells)
    assert series_of(picture) == {"sgd": {0.1: 0.0}}
    assert list(picture.panels[0].series[0].open) == [True]
