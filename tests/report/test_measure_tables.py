"""Tables of measures as texts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from outcomes import cell, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.report.measure_tables import figure_text, grids

WARNING = "posterior is short: too few draws"


def measured(seed: int, status: str = "ok") -> Cell:
    """A cell of a measure."""
    own = cell("predictions", seed, outcome("1111110000"), card="short", status=status)
    figures = {"images": 10, "clean_accuracy": 0.5, "nll": None if status == "ok" else 1.0}
    spec = replace(own.spec, component=bb.measure("predictions"), threat=None)
    return replace(own, spec=spec, figures=figures, warnings=[WARNING], reason="" if status == "ok" else "on purpose")


def of(*cells: Cell) -> Any:
    """Results with these cells."""
    return SimpleNamespace(cells=list(cells))


def test_a_cell_without_a_result_has_its_status_once() -> None:
    (grid,) = grids(of(measured(0), measured(1, "failed")))
    assert grid.columns == ["posterior", "seed", "images", "clean accuracy", "nll"]
    assert grid.lines == [["sgd~", "0", "10", "0.5000", "-"], ["sgd~", "1", "failed", "-", "-"]]
    assert grid.notes[0] == "sgd: failed: on purpose"


def test_the_reason_of_a_mark_is_given_once_for_a_data_set_and_network() -> None:
    (grid,) = grids(of(measured(0)))
    assert (grid.marks, grid.notes) == (["~"], [f"sgd: {WARNING}"])
    (grid,) = grids(of(measured(0), cell("fgsm", 0, outcome("1111110000"))))
    assert (grid.marks, grid.notes) == (["~"], [])


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (60, "60"), (0.5, "0.5000"), (0.0, "0.000"), (1234.5, "1234"), (9.934e-9, "9.934e-09")],
)
def test_figures_have_four_digits(value: float | None, text: str) -> None:
    assert figure_text(value) == text
