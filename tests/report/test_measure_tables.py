"""Tables of measures as texts."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from outcomes import cell, certified, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.report.measure_tables import figure_text, grids
from bnnbench.report.terminal import render_grids

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
    assert grid.notes[0] == "sgd: failed (1 cell): on purpose"


def test_the_reason_of_a_mark_is_given_once_for_a_data_set_and_network() -> None:
    (grid,) = grids(of(measured(0)))
    assert (grid.marks, grid.notes) == (["~"], [f"sgd: {WARNING}"])
    (grid,) = grids(of(measured(0), cell("fgsm", 0, outcome("1111110000"))))
    assert (grid.marks, grid.notes) == (["~"], [])


def proven(posterior: str = "sgd", seed: int = 0, status: str = "ok", label: str = "probable", **threat: Any) -> Cell:
    """A cell of a certificate about the posterior."""
    own = certified(label, seed, "1110000000", status=status)
    made = bb.Threat(**{"epsilon": 0.1, **threat})
    component = bb.certificate("posterior-probability")
    return replace(own, spec=replace(own.spec, posterior=posterior, component=component, threat=made))


def test_certificates_of_posteriors_name_norm_and_goal() -> None:
    (grid,) = grids(of(proven(norm="l2"), proven(norm="l2", epsilon=0.2)))
    assert grid.title == "moons / fc: probable, l2 ball of radius eps"
    assert [line[:2] for line in grid.lines] == [["sgd", "0.1"], ["sgd", "0.2"]]
    (grid,) = grids(of(proven(goal="targeted", target=1), proven(norm="l2", goal="targeted", target=1)))
    assert grid.title == "moons / fc: probable, goal: targeted (target 1)"
    assert [line[1] for line in grid.lines] == ["0.1 linf", "0.1 l2"]
    (grid,) = grids(of(proven(), proven(goal="targeted", target=1)))
    assert grid.title == "moons / fc: probable, l-infinity ball of radius eps"
    assert [line[1] for line in grid.lines] == ["0.1 untargeted", "0.1 targeted (target 1)"]


def test_skipped_cells_have_one_line_of_a_posterior_and_a_note() -> None:
    cells = [proven(posterior, seed, epsilon=e) for posterior in ("sgd", "vi") for seed in (0, 1) for e in (0.1, 0.2)]
    skipped = [replace(cell, status="skipped", reason="two or more draws are needed", figures={}) for cell in cells]
    (grid,) = grids(of(*skipped[:4], *cells[4:7], skipped[7]))
    assert [line[:4] for line in grid.lines] == [
        ["sgd", "all", "all", "skipped"],
        ["vi", "0.1", "0", "10"],
        ["vi", "0.2", "0", "10"],
        ["vi", "0.1", "1", "10"],
    ]
    assert grid.notes == [
        "sgd: skipped (4 cells): two or more draws are needed",
        "vi: skipped (1 cell): two or more draws are needed",
    ]
    mixed = [replace(proven(norm="l2"), status="skipped", reason="linf alone"), proven("vi")]
    assert grids(of(*mixed))[0].title == "moons / fc: probable, l-infinity ball of radius eps"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_a_table_of_skipped_cells_alone_is_shown(width: int) -> None:
    from rich.console import Console

    (grid,) = grids(of(*(proven(status="skipped", epsilon=epsilon) for epsilon in (0.1, 0.2))))
    assert [line[:3] for line in grid.lines] == [["sgd", "all", "skipped"]]
    assert grid.title == "moons / fc: probable"
    console = Console(file=io.StringIO(), width=width)
    for part in render_grids([grid], width):
        console.print(part)
    assert "skipped (2 cells)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_measure_and_a_certificate_of_one_label_have_a_table_each() -> None:
    titles = [grid.title for grid in grids(of(measured(0), proven(label="predictions")))]
    assert titles == ["moons / fc: predictions", "moons / fc: predictions, l-infinity ball of radius eps"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (60, "60"), (0.5, "0.5000"), (0.0, "0.000"), (1234.5, "1234"), (9.934e-9, "9.934e-09")],
)
def test_figures_have_four_digits(value: float | None, text: str) -> None:
    assert figure_text(value) == text
