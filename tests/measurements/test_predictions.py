"""The measure of clean predictions, from a benchmarks file and against what is known."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.measurements.measure import MeasureMeasurement
from bnnbench.report.formats import FORMATS

FILE = """\
version: 1
evaluate: {images: 30}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 40}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 3}, vi: {use: bayes-by-backprop, epochs: 3, draws: 5}}
measures: {predictions: , coarse: {use: predictions, sweep: {bins: [1, 5]}}}
"""


def test_measures_alone_need_no_epsilons_and_no_attack(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert results.complete
    rows = results.rows()
    assert [row["measure"] for row in rows] == ["predictions", "coarse@bins=1", "coarse@bins=5"] * 2
    for row in rows:
        assert row["kind"] == "measure"
        assert (row["images"], row["draws"]) == (30, {"sgd": 1, "vi": 5}[row["posterior"]])
        assert row["clean_low"] <= row["clean_accuracy"] <= row["clean_high"]
        assert 0 <= row["mutual_information"] <= row["entropy"] <= math.log(2) + 1e-6
        assert row["parameters"]["measure"] == {
            "bins": {"coarse@bins=1": 1, "coarse@bins=5": 5}.get(row["measure"], 15)
        }
    assert rows[0]["mutual_information"] == pytest.approx(0, abs=1e-6)  # One draw cannot disagree with itself.
    assert json.loads(FORMATS["json"](results)) == rows
    table = list(csv.DictReader(io.StringIO(FORMATS["csv"](results))))
    assert [float(line["nll"]) for line in table] == [row["nll"] for row in rows]
    for form in ("markdown", "latex"):
        text = FORMATS[form](results)
        assert "predictions" in text
        assert f"{rows[0]['brier']:.4g}" in text


def test_beside_attacks_it_changes_nothing_about_them(tmp_path: Path) -> None:
    attacked = FILE.replace("measures:", "epsilons: [0.05]\nattacks: {fgsm: }\nmeasures:")
    (tmp_path / "benchmarks.yaml").write_text(attacked)
    both = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    without = attacked[: attacked.index("measures:")]
    (tmp_path / "benchmarks.yaml").write_text(without)
    alone = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "other", jobs=0)
    assert [row for row in both.rows() if row["kind"] == "attack"] == alone.rows()
    clean = {row["posterior"]: row["clean_accuracy"] for row in alone.rows()}
    assert all(row["clean_accuracy"] == clean[row["posterior"]] for row in both.rows())
    # An earlier store serves what it has.
    assert bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0).rows() == alone.rows()


def test_its_figures_are_those_of_a_predictive_that_is_known() -> None:
    """A constant prediction of (3/4, 1/4): every figure follows by hand."""
    bias = np.log([[0.75, 0.25]]).astype("f4")
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.zeros((1, 2, 2), "f4"), "bias": bias})
    x = np.random.default_rng(0).random((10, 2), dtype="float32")
    y = np.array([0] * 6 + [1] * 4)
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0), images=10, draws=None, seed=0)
    measurement = MeasureMeasurement(bb.measure("predictions"))
    (values,) = measurement.run(defence, [], "few")
    figures = measurement.row(values)
    assert figures["clean_accuracy"] == 0.6
    assert figures["nll"] == pytest.approx(-(0.6 * math.log(0.75) + 0.4 * math.log(0.25)), rel=1e-5)
    assert figures["brier"] == pytest.approx(0.6 * 2 * 0.25**2 + 0.4 * 2 * 0.75**2, rel=1e-5)
    assert figures["calibration_error"] == pytest.approx(0.75 - 0.6, rel=1e-5)
    assert figures["entropy"] == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), rel=1e-5)
    assert figures["mutual_information"] == pytest.approx(0, abs=1e-6)


def test_a_measure_may_be_one_number(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(
        "import bnnbench as bb\n"
        "class Alone(bb.Measure):\n"
        "    quantities = (bb.Quantity('accuracy', (), 'float', '', 'accuracy'),)\n"
        "    figure_names = ('accuracy',)\n"
        "    def measure(self, defence):\n"
        "        right = defence.clean.log_probs.argmax(-1) == defence.sample.y.numpy()\n"
        "        return {'accuracy': float(right.mean())}\n"
        "    def figures(self, values):\n"
        "        return dict(values)\n"
    )
    text = FILE[: FILE.index("measures:")] + "measures: {alone: {use: alone.py:Alone}, predictions: }\n"
    (tmp_path / "benchmarks.yaml").write_text(text)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert results.complete, [row["reason"] for row in results.rows()]
    rows = results.rows()
    assert [row["accuracy"] for row in rows if row["measure"] == "alone"] == [
        row["clean_accuracy"] for row in rows if row["measure"] == "predictions"
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_of_a_measure_splits_no_number(width: int, tmp_path: Path) -> None:
    from rich.console import Console

    from bnnbench.report.measure_tables import grids
    from bnnbench.report.terminal import render_grids

    (tmp_path / "benchmarks.yaml").write_text(FILE)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    console = Console(file=io.StringIO(), width=width)
    for part in render_grids(grids(results), width):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.split("\n"))) <= width
    for grid in grids(results):
        for line in grid.lines:
            assert all(value in text.split() for value in line)


def test_a_measure_whose_figures_fail_is_invalid_and_the_others_are_reported(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "import bnnbench as bb\n"
        "class Failing(bb.Measure):\n"
        "    quantities = (bb.Quantity('one', (), 'int', '', 'a number'),)\n"
        "    figure_names = ('one',)\n"
        "    def measure(self, defence):\n"
        "        return {'one': 1}\n"
        "    def figures(self, values):\n"
        "        raise ZeroDivisionError('on purpose')\n"
    )
    text = FILE[: FILE.index("measures:")] + "measures: {failing: {use: failing.py:Failing}, predictions: }\n"
    (tmp_path / "benchmarks.yaml").write_text(text)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    found = {(row["measure"], row["status"]) for row in results.rows()}
    assert found == {("failing", "invalid"), ("predictions", "ok")}
    assert "ZeroDivisionError: on purpose" in results.rows()[0]["reason"]
    assert not results.complete
