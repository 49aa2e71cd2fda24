"""Results as a console and a notebook show them, and results that are opened without a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matrices import ONE_FIT
from outcomes import cell, certified, outcome

import bnnbench as bb
from bnnbench.evidence import overview


def test_a_line_for_each_posterior_and_threat_with_the_worst_case() -> None:
    cells = [cell("fgsm", 0, outcome("1110000000")), cell("pgd", 0, outcome("1101000000"))]
    text = overview.as_text("here", cells).splitlines()
    assert text[0] == "Results(here: 2 cells: 2 ok)"
    assert text[2].split() == ["posterior", "radius", "clean", "fgsm", "pgd", "worst"]
    assert text[3].split() == ["sgd", "linf", "0.1", "100.0", "30.0", "30.0", "20.0", "[5.7,", "51.0]"]
    assert len(text) == 4
    assert overview.as_html("here", cells).count("<td>") == 6


def test_marks_are_explained_and_what_is_absent_is_said() -> None:
    cells = [
        cell("fgsm", 0, outcome("1110000000", zero=True), card="short"),
        cell("pgd", 0, None, status="failed"),
        cell("fgsm", 1, outcome("1111000000")),
        cell("pgd", 1, outcome("1111000000")),
    ]
    text = overview.as_text("here", cells)
    assert text.splitlines()[0] == "Results(here: 4 cells: 3 ok, 1 failed)"
    assert text.splitlines()[3].split()[:6] == ["sgd~", "linf", "0.1", "100.0", "35.0#", "failed"]
    assert [line[0] for line in text.splitlines()[4:]] == ["~", "#", "+"]
    assert "&lt;evil" in overview.as_html("<evil\x1b>", cells)
    assert "\x1b" not in overview.as_text("\x1b", cells)


def test_a_mean_that_lacks_a_seed_is_marked() -> None:
    lines = overview.as_text("here", [cell("fgsm", 0, outcome("1111100000")), cell("fgsm", 1, outcome("1111100000"))])
    assert "+" not in lines
    alone = cell("fgsm", 0, outcome("1111100000"), posterior="vi")
    other = [cell("fgsm", seed, outcome("1111100000")) for seed in (0, 1)]
    text = overview.as_text("here", [*other, alone]).splitlines()
    assert text[3].split()[3:5] == ["100.0", "50.0"]
    assert text[4].split()[3:5] == ["100.0+", "50.0+"]
    assert text[5].startswith("+  partial")


@pytest.mark.parametrize("cells", [[], [cell("fgsm", 0, None, status="missing")]])
def test_results_without_an_outcome_are_shown_too(cells: Sequence[overview.Cell]) -> None:
    assert overview.as_text("here", cells).startswith("Results(here: ")
    assert overview.as_html("here", cells).startswith("<p>Results(here: ")


def under(*threats: dict[str, Any], attack: str = "fgsm") -> list[overview.Cell]:
    """A cell under each of these threats."""
    own = cell(attack, 0, outcome("1110000000"))
    return [replace(own, spec=replace(own.spec, threat=bb.Threat(**{"epsilon": 0.2, **one}))) for one in threats]


def radii(cells: Sequence[overview.Cell]) -> list[str]:
    """The texts of the lines of the only table in the column `radius`."""
    (table,) = overview._tables(cells)
    return [line[1] for line in table.lines]


def test_lines_that_differ_in_more_than_the_radius_say_in_what() -> None:
    goals: list[dict[str, Any]] = [
        {"goal": "targeted", "target": 1},
        {"goal": "raise-uncertainty"},
        {"goal": "lower-uncertainty"},
    ]
    told = ["targeted (target 1)", "raise-uncertainty", "lower-uncertainty"]
    assert radii(under(*goals)) == [f"linf 0.2 {goal}" for goal in told]
    assert radii(under({}, {"norm": "l2"}, {"epsilon": 0.1})) == ["linf 0.2", "l2 0.2", "linf 0.1"]
    more: list[dict[str, Any]] = [{}, {"access": "scores"}, {"access": "scores", "queries": 7}, {"attack_draws": 2}]
    found = radii(under(*more))
    assert found[0] == "linf 0.2 gradient unlimited queries all draws"
    assert found[2] == "linf 0.2 scores 7 queries all draws"
    assert len(set(found)) == 4


def test_what_all_lines_share_is_told_if_it_is_not_the_default() -> None:
    """No sentence about the threat stands beside the table."""
    scores = {"access": "scores", "queries": 7}
    assert radii(under(scores, {**scores, "norm": "l1"})) == ["linf 0.2 scores 7 queries", "l1 0.2 scores 7 queries"]
    assert radii(under({"goal": "targeted", "attack_draws": 2})) == ["linf 0.2 2 draws targeted"]


def test_numbers_that_are_no_accuracies_are_not_called_so() -> None:
    assert "moons / fc: robust accuracy in %, and" in overview.as_text("here", under({}))
    assert "numbers count" not in overview.as_text("here", under({}))
    for cells in (under({}, {"goal": "raise-uncertainty"}), under({"goal": "raise-uncertainty"})):
        for text in (overview.as_text("here", cells), overview.as_html("here", cells)):
            assert "moons / fc: images that withstood in %, and the worst case" in text
            assert "robust accuracy" not in text
            assert f"raise-uncertainty: numbers count {bb.Threat(0.2, goal='raise-uncertainty').aim.withstood}" in text
    proofs = [certified("crown", 0, "1100000000")]
    assert "moons / fc: accuracy in %, and what is certified" in overview.as_text("here", proofs)


def test_long_tables_are_cut() -> None:
    one = cell("fgsm", 0, outcome("1110000000"))
    many = [replace(one, spec=replace(one.spec, posterior=f"p{n}")) for n in range(overview.MOST_LINES + 3)]
    assert overview.as_text("here", many).splitlines()[-1] == "... and 3 lines more"


def test_results_are_opened_without_running_anything(tmp_path: Path) -> None:
    file, store = tmp_path / "benchmarks.yaml", tmp_path / "store"
    file.write_text(ONE_FIT)
    with pytest.raises(bb.StoreError, match=r"there is no such store; bnnbench\.run"):
        bb.results(file, store)
    store.mkdir()
    empty = bb.results(file, store)
    assert {one.status for one in empty.cells} == {"missing"}
    assert not list(store.iterdir())
    run = bb.run(file, store=store, jobs=0)
    opened = bb.results(str(file), str(store))
    assert opened.rows() == run.rows()
    assert repr(opened) == repr(run)
    assert f"{file} in {store}" in repr(opened)
    assert opened._repr_html_().startswith("<p>Results(")
    some = bb.results(file, store, only=[opened.cells[0].spec.label])
    assert 0 < len(some.cells) <= len(opened.cells)
    robust = [figure for _, found in opened.outcomes() for figure in [found.robust_accuracy]]
    assert np.isfinite(robust).all()
