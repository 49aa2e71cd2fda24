"""Tables of metrics below those of attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from outcomes import cell, certified, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.report import metric_tables
from bnnbench.report.metric_tables import metric_grids


@pytest.fixture(autouse=True)
def _outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells made by hand have no store: their outcome is the one that they were made of."""
    monkeypatch.setattr(Cell, "outcome", property(lambda self: FOUND.get((self.spec.label, self.spec.seed))))


FOUND = {
    ("fgsm", 0): outcome("1111110000"),
    ("fgsm", 1): outcome("1111100000"),
    ("pgd", 0): outcome("1110000000"),
}


def of(*metrics: str) -> Any:
    cells = [cell(attack, seed, found, card="short") for (attack, seed), found in FOUND.items()]
    return results_of([*cells, cell("pgd", 1, None, status="failed")], *metrics)


def results_of(cells: Sequence[Cell], *metrics: str) -> Any:
    return SimpleNamespace(cells=cells, metrics={name: bb.metric(name) for name in metrics})


def test_a_metric_of_predictions_has_a_clean_column_and_one_for_each_attack() -> None:
    (grid,) = metric_grids(of("nll"))
    clean, six, five = FOUND["fgsm", 0].clean_nll, FOUND["fgsm", 0].attacked_nll, FOUND["fgsm", 1].attacked_nll
    assert grid.title == "moons / fc: nll, mean over 2 seeds"
    assert grid.columns == ["posterior", "eps", "clean", "fgsm", "pgd"]
    assert grid.lines == [["sgd~", "0.1", f"{clean:#.4g}", f"{(six + five) / 2:#.4g}", "failed"]]
    assert (grid.heads, grid.marks) == (2, ["~"])


def test_detection_has_no_clean_column() -> None:
    grids = metric_grids(of("ece", "detection-auroc"))
    assert [grid.title for grid in grids] == [
        f"moons / fc: {name}, mean over 2 seeds" for name in ("ece", "detection-auroc")
    ]
    assert grids[1].columns == ["posterior", "eps", "fgsm", "pgd"]
    assert grids[1].lines == [["sgd~", "0.1", "0.7250", "failed"]]


def test_without_metrics_there_is_no_table_and_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_tables, "metric_numbers", None)
    assert metric_grids(of()) == []


def test_a_number_that_lacks_a_seed_is_marked() -> None:
    cells = [cell(attack, seed, FOUND[attack, seed]) for attack, seed in (("fgsm", 0), ("fgsm", 1), ("pgd", 0))]
    other = cell("fgsm", 0, FOUND["fgsm", 0], posterior="vi")
    nll, auroc = metric_grids(results_of([*cells, other], "nll", "detection-auroc"))
    assert [["+" in text for text in line[2:]] for line in nll.lines] == [[False, False, True], [True, True, False]]
    assert nll.lines[1][-1] == "-"
    assert [["+" in text for text in line[2:]] for line in auroc.lines] == [[False, True], [True, False]]
    assert nll.marks == auroc.marks == ["+"]
    assert metric_grids(results_of(cells[:2], "nll"))[0].marks == []


def test_a_number_that_is_not_defined_at_a_seed_is_marked() -> None:
    class Sometimes(bb.Metric):
        arrays: ClassVar[tuple[str, ...]] = ("attacked_log_probs",)

        def number(self, arrays: Mapping[str, Any]) -> float | None:
            right = int((arrays["attacked_log_probs"].argmax(-1) == 0).sum())
            return None if right == 5 else float(right)

    results = results_of([cell("fgsm", seed, FOUND["fgsm", seed]) for seed in (0, 1)])
    results.metrics = {"sometimes": Sometimes()}
    (grid,) = metric_grids(results)
    assert grid.lines == [["sgd", "0.1", "6.000+"]]


def test_findings_that_refute_an_outcome_mark_its_numbers() -> None:
    still, constant = outcome("1111110000", zero=True), replace(FOUND["fgsm", 0], label=np.array([0, 1] * 5))
    for found, marks in ((still, ["", "#", "#"]), (constant, ["=", "", "="])):
        grids = metric_grids(results_of([cell("fgsm", 0, found)], "nll", "detection-auroc"))
        texts = [*grids[0].lines[0][2:], grids[1].lines[0][2]]
        assert [text.lstrip("0123456789.") for text in texts] == marks
        assert {mark for grid in grids for mark in grid.marks} == {*"".join(marks)}


def test_a_line_of_certificates_alone_has_no_numbers() -> None:
    proof = certified("crown", 0, "1110000000")
    wide = replace(proof, spec=replace(proof.spec, threat=bb.Threat(epsilon=0.2)))
    (grid,) = metric_grids(results_of([cell("fgsm", 0, FOUND["fgsm", 0]), proof, wide], "nll"))
    assert [line[:2] for line in grid.lines] == [["sgd", "0.1"]]


def test_an_attack_that_stops_early_has_a_dash_and_a_note_says_why() -> None:
    found = replace(FOUND["fgsm", 0], stops_early=True)
    stopping = cell("stopped", 0, found)
    stopping = replace(stopping, spec=replace(stopping.spec, component=bb.attack("pgd", stop_when_broken=True)))
    FOUND["stopped", 0] = found
    try:
        results = results_of([cell("fgsm", 0, FOUND["fgsm", 0]), stopping], "nll")
        (grid,) = metric_grids(results)
        (other,) = metric_grids(results_of(results.cells[:1], "nll"))
    finally:
        del FOUND["stopped", 0]
    assert grid.columns[2:] == ["clean", "fgsm", "stopped"]
    assert (grid.lines[0][-2], grid.lines[0][-1]) == (other.lines[0][-1], "-")
    assert grid.notes == ["-: the attack leaves an image alone once it is broken (stopped)"]
    assert other.notes == []
