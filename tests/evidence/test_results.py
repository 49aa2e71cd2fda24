"""The store seen through a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matrices import ONE_FIT

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.evidence.cell_reader import CellReader
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.measurements.attack import AttackMeasurement
from bnnbench.store.store import CELLS, FITS, Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""


def test_test_data_that_another_computer_rounds_otherwise_are_no_breach(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}seeds: [0, 1, 2]\ndatasets: {{half-moons: }}\nnetworks: {{fc: }}\n"
        "posteriors: {sgd: }\nattacks: {random-sign: }\n"
    )
    plan, store = make_plan(read_config(tmp_path / "benchmarks.yaml")), Store(tmp_path / "store")
    made = [("here", "a"), ("elsewhere", "b"), ("here", "b")]
    with store.held():
        for key, (cpu, test) in zip(plan.fits, made, strict=True):
            store.write(FITS, key, {"status": "ok", "environment": {"cpu": cpu}, "test_data": test})
    assert [row["status"] for row in Results(plan, store).rows()] == ["missing", "missing", "invalid"]


@pytest.mark.parametrize(("rhat", "told"), [(1.7, 1.7), (None, None), ("large", None)])
def test_cells_have_the_warnings_of_their_fits_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rhat: Any, told: float | None
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    run = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", only=["fgsm"], jobs=0)
    card = {"level": "short", "why": "R-hat 1.70, ESS 3", "rhat": rhat, "held_fixed": "batch norm"}
    known = CellReader.known

    def with_card(self: CellReader, kind: str, key: str) -> dict[str, Any]:
        return {**(known(self, kind, key) or {}), **({"card": card} if kind == FITS else {})}

    monkeypatch.setattr(CellReader, "known", with_card)
    (cell,) = Results(run.plan, run.store).cells
    assert (cell.status, cell.card, cell.rhat) == ("ok", "short", told)
    assert cell.warnings[:2] == [
        "posterior is short: R-hat 1.70, ESS 3",
        "posterior is for a network in this state: batch norm",
    ]


def test_a_store_that_cannot_be_read_is_told_and_not_taken_for_a_fault_of_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    run = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", only=["fgsm"], jobs=0)

    record = Store.record

    def unreadable(self: Store, kind: str, key: str) -> dict[str, Any] | None:
        if kind == CELLS:
            raise StoreError(f"{kind}/{key} cannot be read")
        return record(self, kind, key)

    monkeypatch.setattr(Store, "record", unreadable)
    with pytest.raises(StoreError, match="cannot be read"):
        _ = Results(run.plan, run.store).cells


def test_a_cell_whose_figures_raise_an_error_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    run = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", only=["fgsm"], jobs=0)
    row = AttackMeasurement.row

    def failing(self: AttackMeasurement, result: Any) -> dict[str, Any]:
        if result is not None:
            raise ZeroDivisionError("no images")
        return row(self, result)

    monkeypatch.setattr(AttackMeasurement, "row", failing)
    (cell,) = Results(run.plan, run.store).cells
    assert (cell.status, cell.reason) == ("invalid", "its figures cannot be computed: ZeroDivisionError: no images")
