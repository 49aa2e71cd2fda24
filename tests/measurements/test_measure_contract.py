"""A measure gives what it declares, takes no name of another field, and changes nothing that others use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.measurements.measure import MeasureMeasurement


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


def test_no_figure_overwrites_a_field_of_rows() -> None:
    from bnnbench.evidence.rows import row_of
    from bnnbench.matrix.specs import CellSpec, FitSpec
    from bnnbench.measurements.schema import ROW_FIELDS

    fit = FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), 0)
    spec = CellSpec("d", "n", "p", "m", fit, bb.measure("predictions"), None, 10, 5, "few")
    assert set(row_of(spec, "ok", "", [], None, {})) <= ROW_FIELDS
    with pytest.raises(bb.PluginError, match="'status'"):
        type("Taking", (bb.Measure,), {"figure_names": ("status",), "__module__": __name__})


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


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"a": ("a", "b")}, "column 'a': it has one figure, or one with both ends of its interval"),
        ({"a": ("b",)}, "column 'a': there is no figure 'b'"),
    ],
)
def test_columns_of_a_table_are_figures(columns: dict[str, tuple[str, ...]], told: str) -> None:
    body = {"__module__": __name__, "figure_names": ("a",), "columns": columns}
    with pytest.raises(bb.PluginError, match=told):
        type("Columned", (bb.Measure,), body)
    type("Right", (bb.Measure,), body | {"columns": {"a": ("a", "a", "a"), "time": ("fit_seconds",)}})
