"""Tables of metrics below those of attacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from outcomes import cell, outcome

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
    cells.append(cell("pgd", 1, None, status="failed"))
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
