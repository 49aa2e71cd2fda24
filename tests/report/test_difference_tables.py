"""Tables of differences between posteriors, attacks and results."""

from __future__ import annotations

import dataclasses

import numpy as np
from outcomes import cell, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.difference import Differences
from bnnbench.evidence.differences import between_attacks, between_posteriors, between_results
from bnnbench.evidence.lines import groups
from bnnbench.report.difference_tables import difference_grids


def with_robust(attack: str, posterior: str, share: float, seed: int = 0, card: str = "single") -> Cell:
    made = cell(attack, seed, outcome("1111111111"), posterior=posterior, card=card)
    return dataclasses.replace(made, robust=np.arange(200) < share * 200)


CELLS = [
    with_robust("fgsm", "sgd", 0.5),
    with_robust("pgd", "sgd", 0.4),
    with_robust("fgsm", "hmc", 0.42, card="short"),
    with_robust("pgd", "hmc", 0.42, card="short"),
]


def test_posteriors_stand_with_their_marks_figures_and_verdict() -> None:
    (grid,) = difference_grids(between_posteriors(groups(CELLS)), CELLS)
    assert grid.title == "moons / fc: robust accuracy, first less second, in points; 200 test images"
    assert grid.columns == ["first", "second", "eps", "points", "95% interval", "p", "p Holm", "holds"]
    assert grid.lines == [["sgd", "hmc~", "0.1", "-2.0", "[-5.0, -0.1]", "0.125", "0.125", "no"]]
    assert (grid.heads, grid.marks) == (3, ["~"])
    assert grid.notes[-1] == "holds: p is at most 5% after Holm's correction for 1 comparison"
    assert any("McNemar" in note for note in grid.notes)
    assert not any("bootstrap" in note for note in grid.notes)


def test_attacks_have_the_mark_of_a_short_posterior_at_the_posterior() -> None:
    (grid,) = difference_grids(between_attacks(groups(CELLS)), CELLS)
    assert grid.columns[:4] == ["posterior", "eps", "first", "second"]
    assert [line[:5] for line in grid.lines] == [
        ["sgd", "0.1", "fgsm", "pgd", "+10.0"],
        ["hmc~", "0.1", "fgsm", "pgd", "0.0"],
    ]
    assert [line[-2:] for line in grid.lines] == [["<0.001", "yes"], ["1.000", "no"]]


def test_results_are_named_below_and_partial_comparisons_are_marked() -> None:
    found = between_results(CELLS, CELLS[:1], ("a.yaml in store", "b.yaml in store"))
    (grid,) = difference_grids(found, CELLS)
    assert [line[:4] for line in grid.lines] == [["sgd", "0.1", "worst", "0.0"]]
    assert grid.lines[0][-1] == "no+"
    assert grid.marks == ["+"]
    assert {"first: a.yaml in store", "second: b.yaml in store"} <= set(grid.notes)


def test_several_seeds_and_what_was_left_out_are_told() -> None:
    cells = [with_robust("pgd", name, share, seed) for name, share in (("sgd", 0.3), ("vi", 0.6)) for seed in (0, 1)]
    found = between_posteriors(groups(cells))
    found.left_out = 2
    (grid,) = difference_grids(found, cells)
    assert grid.title.endswith("200 test images, mean over 2 seeds")
    assert any("two-way bootstrap over images and seeds" in note for note in grid.notes)
    assert grid.notes[-1] == "2 comparisons without a common outcome left out"


def test_no_differences_make_no_table() -> None:
    assert difference_grids(Differences(), CELLS) == []


def test_a_difference_of_a_number_that_is_no_evidence_is_called_so() -> None:
    refuted = dataclasses.replace(with_robust("fgsm", "vi", 0.9), marks={"*": "on purpose"})
    cells = [with_robust("fgsm", "sgd", 0.5), refuted]
    (grid,) = difference_grids(between_posteriors(groups(cells)), cells)
    assert (grid.lines[0][1], grid.lines[0][-2:]) == ("vi*", ["<0.001", "no evidence"])
    assert grid.marks == ["*"]


def test_under_another_goal_the_images_that_count_are_told() -> None:
    threat = bb.Threat(0.1, goal="raise-uncertainty")
    cells = [dataclasses.replace(one, spec=dataclasses.replace(one.spec, threat=threat)) for one in CELLS]
    (grid,) = difference_grids(between_posteriors(groups(cells)), cells)
    assert grid.title == "moons / fc: images that withstood, first less second, in points; 200 test images"
    assert f"{threat.goal_text}: numbers count {threat.aim.withstood}" in grid.notes
    (both,) = difference_grids(between_posteriors(groups([*CELLS, *cells])), [*CELLS, *cells])
    assert both.title.startswith("moons / fc: images that withstood, ")
    (without,) = difference_grids(between_posteriors(groups(CELLS)), CELLS)
    assert not any("numbers count" in note for note in without.notes)
