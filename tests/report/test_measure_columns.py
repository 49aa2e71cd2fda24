"""Columns with intervals, times of fits, and remarks in the table of a measure."""

from __future__ import annotations

import io

import pytest

import bnnbench as bb
from bnnbench.report.measure_tables import grids, interval_text
from bnnbench.report.terminal import render_grids

FILE = """\
evaluate: {images: 20, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors:
  one: {use: 'counted.py:Counted', draws: 6}
  other: {use: 'counted.py:Counted', draws: 4}
measures: {counts: {use: 'counting.py:Counting', reference: one}}
"""
COUNTED = '''
import numpy as np
import bnnbench as bb

class Counted(bb.Posterior):
    """Random weights."""
    draws: int = 4

    def fit(self, network, data, *, seed, progress=bb.no_progress):
        generator = np.random.default_rng(seed)
        return bb.Draws({name: generator.normal(size=(1, self.draws, *weight.shape)).astype("f4")
                         for name, weight in network.state_dict().items()})
'''
COUNTING = '''
import bnnbench as bb
from counted import Counted

class Counting(bb.Measure):
    """The number of draws of the fit, with an interval."""

    quantities = (bb.Quantity("count", (), "int", "", "the number"),)
    figure_names = ("count", "below", "above", "absent")
    columns = {"number": ("count", "below", "above"), "nothing": ("absent",), "time": ("fit_seconds",)}
    reference: bb.PosteriorParameter = Counted()

    def measure(self, defence):
        return {"count": len(defence.predictive)}

    def figures(self, values):
        count = values["count"]
        return {"count": count, "below": count - 0.25, "above": count + 0.5, "absent": None}

    def remarks(self, results):
        return [f"counts: {sorted((name, of[0]['count']) for name, of in results.items())}"]
'''


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> bb.Results:
    import light

    folder = tmp_path_factory.mktemp("columns")
    light.written(folder, FILE)
    (folder / "counted.py").write_text(COUNTED)
    (folder / "counting.py").write_text(COUNTING)
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)


def test_declared_columns_have_intervals_and_empty_ones_are_left_out(results: bb.Results) -> None:
    (grid,) = grids(results)
    assert grid.columns == ["posterior", "number", "time"]
    assert [line[1] for line in grid.lines] == ["6 [5.75, 6.50]", "4 [3.75, 4.50]"]
    assert all(float(line[2]) >= 0 for line in grid.lines)


def test_remarks_and_the_fit_that_is_compared_with_stand_below(results: bb.Results) -> None:
    (grid,) = grids(results)
    assert grid.notes[0].startswith("compared with one, which is ")
    assert grid.notes[1] == "counts: [('one', 6), ('other', 4)]"


def test_remarks_that_fail_are_told(results: bb.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    component = results.cells[0].spec.component
    monkeypatch.setattr(type(component), "remarks", lambda self, results: 1 / 0)
    (grid,) = grids(results)
    assert grid.notes[1] == "the remarks of counts cannot be made: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("width", "stacked"), [(30, True), (80, False)])
def test_intervals_stand_below_their_numbers_where_there_is_no_room(
    width: int, stacked: bool, results: bb.Results
) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    for part in render_grids(grids(results), width):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("6 [5.75, 6.50]" in text) != stacked
    assert "[5.75, 6.50]" in text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.9, 0.94, "[0.900, 0.940]"),
        (-0.0049, 0.087, "[-0.005, 0.087]"),
        (6.46, 8.65, "[6.5, 8.7]"),
        (288.4, 306.2, "[288, 306]"),
        (1.0, 1.0, "[1.000, 1.000]"),
    ],
)
def test_an_interval_has_two_digits_of_its_width(low: float, high: float, text: str) -> None:
    assert interval_text(low, high) == text
