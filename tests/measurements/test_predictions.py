"""The measure of clean predictions, from a benchmarks file and against what is known."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

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


class Careless(bb.Measure):
    """Returns another array than it declares."""

    quantities = (
        bb.Quantity("index", ("image",), "int", "", "position"),
        bb.Quantity("a", ("image",), "float", "", ""),
    )
    wrong: str = "shape"
    """What is wrong."""

    def measure(self, defence):  # type: ignore[no-untyped-def]
        index = defence.sample.index
        values = {"index": index, "a": np.zeros(len(index))}
        if self.wrong == "shape":
            return values | {"a": np.zeros(len(index) + 1)}
        if self.wrong == "type":
            return values | {"a": np.array(["x"] * len(index))}
        return {"index": index} if self.wrong == "absent" else values | {"b": np.zeros(1)}


@pytest.mark.parametrize("wrong", ["shape", "type", "absent", "more"])
def test_a_measure_must_give_what_it_declares(wrong: str) -> None:
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.zeros((1, 2, 2)), "bias": np.zeros((1, 2))})
    x, y = np.full((4, 2), 0.5, "f4"), np.array([0, 1, 0, 1])
    data = bb.Data(train=(x, y), test=(x, y))
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0), images=4, draws=None, seed=0)
    with pytest.raises(bb.ContractBreach, match="Careless"):
        MeasureMeasurement(Careless(wrong=wrong)).run(defence, [], "few")


@pytest.mark.parametrize("name", ["seconds", "status", "images"])
def test_no_quantity_overwrites_a_field_of_records(name: str) -> None:
    with pytest.raises(bb.PluginError, match=f"'{name}'"):
        type("Taking", (bb.Measure,), {"quantities": (bb.Quantity(name, (), "int", "", ""),), "__module__": __name__})


def test_every_field_of_a_record_is_reserved() -> None:
    from bnnbench.measurements.schema import RESERVED
    from bnnbench.store.records import DEFAULTS, Ending

    ending = Ending("ok", "r", 1.0, 1.0, {}, [], "t")
    assert set(DEFAULTS) | set(ending.fields()) <= RESERVED


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


def test_no_figure_overwrites_a_field_of_rows() -> None:
    from bnnbench.evidence.rows import row_of
    from bnnbench.matrix.specs import CellSpec, FitSpec
    from bnnbench.measurements.schema import ROW_FIELDS

    fit = FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), 0)
    spec = CellSpec("d", "n", "p", "m", fit, bb.measure("predictions"), None, 10, 5, "few")
    assert set(row_of(spec, "ok", "", [], None, {})) <= ROW_FIELDS
    with pytest.raises(bb.PluginError, match="'status'"):
        type("Taking", (bb.Measure,), {"figure_names": ("status",), "__module__": __name__})


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


class Wrong(bb.Measure):
    """Gives what its parameter says."""

    quantities: ClassVar[tuple[bb.Quantity, ...]] = (
        bb.Quantity("index", ("image",), "int", "", "positions"),
        bb.Quantity("one", ("image",), "float", "", "numbers"),
    )
    figure_names: ClassVar[tuple[str, ...]] = ("mean", "none")
    how: str = ""

    def measure(self, defence: bb.Defence) -> dict[str, Any]:
        images = len(defence.sample.y) - (self.how == "fewer images")
        return {"index": np.arange(len(defence.sample.y)), "one": np.zeros(images)}

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        figures = {"mean": float(values["one"].mean()), "none": None}
        changes: dict[str, dict[str, Any]] = {
            "more": {"further": 1.0},
            "infinite": {"mean": math.inf},
            "text": {"mean": "1"},
        }
        return {"none": None} if self.how == "less" else figures | changes.get(self.how, {})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("fewer images", "gave one that its quantities do not allow"),
        ("more", "gave the figures mean, none, further, not mean, none"),
        ("less", "gave the figures none, not mean, none"),
        ("infinite", "gave a figure mean that is no finite number: inf"),
        ("text", "gave a figure mean that is no finite number: '1'"),
    ],
)
def test_a_measure_is_held_to_what_it_declares(how: str, told: str) -> None:
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.zeros((1, 2, 2)), "bias": np.zeros((1, 2))})
    x, y = np.full((4, 2), 0.5, "f4"), np.array([0, 1, 0, 1])
    data = bb.Data(train=(x, y), test=(x, y))
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0), images=4, draws=None, seed=0)
    assert MeasureMeasurement(Wrong()).run(defence, [], "few")[0]["one"].shape == (4,)
    measurement = MeasureMeasurement(Wrong(how=how))
    with pytest.raises(bb.ContractBreach, match=re.escape(told)):
        measurement.row(measurement.run(defence, [], "few")[0])


def of_linear() -> bb.Defence:
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.ones((1, 2, 2)), "bias": np.zeros((1, 2))})
    x, y = np.full((4, 2), 0.5, "f4"), np.array([0, 1, 0, 1])
    data = bb.Data(train=(x, y), test=(x, y))
    return bb.Defence(predictive, data, bb.Threat(epsilon=0.0), images=4, draws=None, seed=0)


class Spoiling(bb.Measure):
    """Changes what its parameter says."""

    quantities: ClassVar[tuple[bb.Quantity, ...]] = (bb.Quantity("one", (), "int", "", "a number"),)
    figure_names: ClassVar[tuple[str, ...]] = ("one",)
    what: str = "nothing"

    def measure(self, defence: bb.Defence) -> dict[str, Any]:
        changes: dict[str, Callable[[], Any]] = {
            "nothing": lambda: None,
            "predictions": lambda: defence.clean.log_probs.__imul__(0.5),
            "draws": lambda: defence.clean.each.mul_(0.5),
            "weights": lambda: defence.predictive.draws["weight"].zero_(),
            "images": lambda: defence.sample.x.add_(0.1),
            "random": lambda: torch.rand(3),
            "numpy": lambda: np.random.random(),  # noqa: NPY002 - the fault that is looked for
            "dtype": lambda: torch.set_default_dtype(torch.float64),
            "attribute": lambda: setattr(defence.predictive, "draws", {}),
        }
        changes[self.what]()
        return {"one": 1}

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        return {"one": np.float32(values["one"])}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("predictions", "changed the images, their labels or the clean predictions"),
        ("draws", "changed the images, their labels or the clean predictions"),
        ("images", "changed the images, their labels or the clean predictions"),
        ("weights", "changed the weights of the predictive"),
        ("random", "drew from the global random state of torch"),
        ("numpy", "drew from the global random state of numpy"),
        ("dtype", "changed torch's default dtype for everybody"),
    ],
)
def test_a_measure_changes_nothing_that_others_use(what: str, told: str) -> None:
    with pytest.raises(bb.ContractBreach, match=told):
        MeasureMeasurement(Spoiling(what=what)).run(of_linear(), [], "few")
    assert torch.get_default_dtype() == torch.float32


def test_a_measure_that_changes_nothing_passes_and_attributes_are_its_own() -> None:
    defence = of_linear()
    for what in ("nothing", "attribute"):
        measurement = MeasureMeasurement(Spoiling(what=what))
        (values,) = measurement.run(defence, [], "few")
        assert measurement.row(values) == {"one": 1.0}
        assert defence.predictive.draws


@pytest.mark.parametrize(
    ("quantities", "figures", "told"),
    [
        ([("one", (), "int")], ("One",), "figure 'One': a name has small letters"),
        ([("one", (), "int")], ("=1+1",), "figure '=1\\+1'"),
        ([("one", (), "int")], ("robust_accuracy",), "rows have a field 'robust_accuracy'"),
        ([("one", (), "int")], ("a", "a"), "the name 'a' stands twice"),
        ([("one", (), "int"), ("one", (), "int")], ("a",), "the name 'one' stands twice"),
        ([("one", (), "float32")], ("a",), "quantity 'one': its type is one of float, int, bool"),
        ([("one", ("image",), "int")], ("a",), "needs the quantity 'index'"),
    ],
)
def test_a_measure_is_checked_when_it_is_defined(quantities: list[Any], figures: Any, told: str) -> None:
    declared = tuple(bb.Quantity(name, axes, dtype, "", "") for name, axes, dtype in quantities)
    with pytest.raises(bb.PluginError, match=told):
        type("Odd", (bb.Measure,), {"quantities": declared, "figure_names": figures, "__module__": __name__})
