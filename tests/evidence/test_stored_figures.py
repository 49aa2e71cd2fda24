"""The figures of one stored cell: those that reports show, or a reason why there are none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from matrices import ONE_FIT
from pydantic import Field

import bnnbench as bb
from bnnbench.core.component_parameter import component_parameter
from bnnbench.evidence import stored_figures
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.results import Results
from bnnbench.evidence.stored_figures import figures_of
from bnnbench.plugins.registrar import Entry
from bnnbench.plugins.registry import Registry
from bnnbench.store.store import CELLS

MEASURES = """
measures:
  fine: {use: predictions, bins: 60}
  coarse: {use: predictions, bins: 2}
  own: {use: 'own.py:Own', factor: 3.0}
"""
RANDOM = "bnnbench_plugins.attacks.random_sign:RandomSign"
OWN = """\
import bnnbench as bb

class Own(bb.Measure):
    quantities = (bb.Quantity("one", (), "float", "", "one"),)
    figure_names = ("times",)
    factor: float = 1.0

    def measure(self, defence):
        return {"one": 1.0}

    def figures(self, values):
        return {"times": self.factor * values["one"]}
"""


class Part(bb.Measure):
    """A measure that is a parameter of another."""

    revision: ClassVar[int | None] = 1
    figure_names: ClassVar[tuple[str, ...]] = ()
    weight: float = Field(default=1.0, ge=0)


Parts = tuple[Annotated[bb.Measure, *component_parameter("measure")], ...]


class Whole(bb.Measure):
    """A measure with components among its parameters, and in lists and mappings of these."""

    revision: ClassVar[int | None] = 1
    figure_names: ClassVar[tuple[str, ...]] = ("weight",)
    parts: Parts = ()
    named: dict[str, Annotated[bb.Measure, *component_parameter("measure")]] = {}
    size: tuple[int, ...] = (1, 2)

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        return {"weight": sum(getattr(part, "weight", 0.0) for part in (*self.parts, *self.named.values()))}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("figures")
    (folder / "own.py").write_text(OWN)
    (folder / "benchmarks.yaml").write_text(ONE_FIT + MEASURES)
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)


def the_cell(results: Results, label: str) -> tuple[Cell, dict[str, Any]]:
    """The cell of a label, and its record."""
    (cell,) = [cell for cell in results.cells if cell.spec.label == label]
    record = results.store.record(CELLS, cell.spec.key)
    assert cell.ok
    assert record is not None
    return cell, record


@pytest.mark.parametrize("label", ["fine", "coarse", "fgsm"])
def test_the_figures_are_those_of_reports(results: Results, label: str) -> None:
    """Those of measures depend on their parameters: 60 bins, or 2."""
    cell, record = the_cell(results, label)
    assert figures_of(results.store, cell.spec.key, record) == (cell.figures, "")


def test_a_class_of_an_own_file_is_not_run_for_a_record(results: Results) -> None:
    cell, record = the_cell(results, "own")
    assert cell.figures == {"times": 3.0}
    figures, why = figures_of(results.store, cell.spec.key, record)
    assert figures is None
    assert why == "'Own' is in a file of the user's own: use bnnbench report"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parameters": {"bins": 0}}, "bins: input should be greater than or equal to 1"),
        ({"parameters": {"bins": "60"}}, "bins: input should be a valid integer"),
        ({"parameters": {"binns": 60}}, "binns"),
        ({"parameters": [60]}, "its record names no measure"),
        ({"parameters": {}}, "it differs in parameters"),
        ({"version": 7}, "it differs in version"),
        ({"fingerprint": "x"}, "it differs in the files that it reads"),
        ({"component": "nowhere:Nothing"}, "no installed plugin has the component nowhere:Nothing"),
        ({"component": "os:system"}, "no installed plugin has the component os:system"),
        ({"component": RANDOM, "parameters": {}}, f"its record names the attack {RANDOM} as its measure"),
        ({"component": 3}, "its record names no measure"),
    ],
)
def test_no_figures_are_given_for_another_component_than_was_measured(
    results: Results, changes: dict[str, Any], why: str
) -> None:
    cell, record = the_cell(results, "fine")
    identity = {**record["identity"], "measure": {**record["identity"]["measure"], **changes}}
    figures, told = figures_of(results.store, cell.spec.key, {**record, "identity": identity})
    assert figures is None
    assert why in told
    assert "\n" not in told


@pytest.mark.parametrize("error", [KeyError("on\npurpose"), SystemExit("on\npurpose")])
def test_an_error_of_a_plugin_while_it_computes_figures_is_the_reason(
    results: Results, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    cell, record = the_cell(results, "fine")

    def broken(self: Any, values: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(type(cell.spec.component), "figures", broken)
    figures, why = figures_of(results.store, cell.spec.key, record)
    assert figures is None
    assert why.startswith(f"they cannot be computed: {type(error).__name__}: ")
    assert "\n" not in why


def test_components_among_the_parameters_are_made_too(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        Entry("measure", "part", Part, None, "own", "own", "1"),
        Entry("measure", "broken", f"{__name__}.broken:Nothing", None, "own", "own", "1"),
        Entry("measure", "whole", f"{__name__}.whole:Whole", None, "own", "own", "1"),
    ]
    # A package registers the class that one of its modules defines.
    monkeypatch.setitem(sys.modules, f"{__name__}.whole", sys.modules[__name__])
    monkeypatch.setattr(stored_figures, "registry", lambda: Registry(entries))
    monkeypatch.setattr("bnnbench.core.component_parameter.registry", lambda: Registry(entries))
    inner = Whole(parts=(Part(weight=0.5),))
    whole = Whole(parts=(Part(weight=2.0), Part(), inner), named={"a": Part(weight=4.0)}, size=(3,))
    restored = stored_figures._component_of("measure", {"identity": {"measure": whole.identity()}})
    assert restored == whole
    assert restored.identity() == whole.identity()
    assert whole.figures({}) == {"weight": 7.0}
    wrong = whole.identity()["parameters"]["parts"][0]["parameters"]
    assert wrong == {"weight": 2.0}
    identity = {**whole.identity(), "parameters": {"parts": [{**Part().identity(), "parameters": {"weight": -1.0}}]}}
    with pytest.raises(bb.ParameterError, match="weight"):
        stored_figures._component_of("measure", {"identity": {"measure": identity}})


def test_show_says_why_there_are_no_figures(results: Results) -> None:
    import json

    from commands import called

    folder: Path = results.store.path.parent
    cell, _ = the_cell(results, "own")
    text = called("show", cell.spec.key[:12], folder=folder)
    assert (text.returncode, text.stderr) == (0, "")
    assert "\n\nfigures  none: 'Own' is in a file of the user's own: use bnnbench report\n\nrecord\n" in text.stdout
    shown = json.loads(called("show", cell.spec.key[:12], "--format", "json", folder=folder).stdout)
    assert shown["figures"] is None
    assert shown["no_figures"].startswith("'Own' is in a file")
    fine, _ = the_cell(results, "fine")
    shown = json.loads(called("show", fine.spec.key[:12], "--format", "json", folder=folder).stdout)
    assert shown["figures"] == fine.figures
    assert "no_figures" not in shown
