"""The store seen through a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matrices import ONE_FIT

import bnnbench as bb
from bnnbench.core.uncertainty_goal import UncertaintyGoal
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


FEW_DRAWS = """\
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}, vi: {use: bayes-by-backprop, epochs: 1, draws: 4}}
attacks: {fgsm: }
threats:
  - {epsilon: 0.1, goal: raise-uncertainty, score: mutual-information}
  - {epsilon: 0.1, goal: raise-uncertainty, score: mutual-information, attack_draws: 1}
  - {epsilon: 0.1, goal: lower-uncertainty, attack_draws: 1}
"""


@pytest.mark.parametrize(
    ("evaluate", "ok"),
    [
        ("stream: fixed, draws: 4", ["sgd entropy 1", "vi mutual-information None", "vi entropy 1"]),
        ("stream: fixed, draws: 1", ["sgd entropy 1", "vi entropy 1"]),
        ("stream: independent, draws: 1", ["vi entropy 1"]),
        ("stream: {fresh: 2}, draws: 4", ["sgd entropy 1", "vi mutual-information 2", "vi entropy 1"]),
    ],
)
def test_a_stored_outcome_that_would_be_skipped_today_is_skipped(
    evaluate: str, ok: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file has one answer, whether its store is older than the check of the draws or not."""
    file = tmp_path / "benchmarks.yaml"
    file.write_text(f"evaluate: {{images: 10, {evaluate}}}\n{FEW_DRAWS}")
    expected = bb.run(file, store=tmp_path / "new", jobs=0).rows()
    with monkeypatch.context() as patched:
        patched.setattr(UncertaintyGoal, "check_draws", lambda self, number: None)
        before = bb.run(file, store=tmp_path / "old", jobs=0).rows()
    found = bb.results(file, tmp_path / "old").rows()
    names = [f"{row['posterior']} {row['score']} {row['attack_draws_asked']}" for row in found]
    assert [name for name, row in zip(names, found, strict=True) if row["status"] == "ok"] == ok
    assert sum(row["status"] == "ok" for row in before) > len(ok)
    told = ("cell", "status", "reason", "robust_accuracy")
    assert [[row[name] for name in told] for row in found] == [[row[name] for name in told] for row in expected]
