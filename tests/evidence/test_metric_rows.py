"""Metrics as fields of rows of cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.report.formats import FORMATS

TEXT = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 2}}
attacks: {random: {use: random-sign}, broken: {use: 'broken.py:Broken'}}
measures: {predictions: }
"""
BROKEN = """\
import bnnbench as bb

class Broken(bb.Attack):
    def perturb(self, victim, x, y, threat, rng):
        raise OSError("on purpose")
"""


class Accuracy(bb.Metric):
    """A metric whose fields rows have already, if it is called `accuracy`."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "label")

    def number(self, arrays: Mapping[str, Any]) -> float | None:
        return 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "benchmarks.yaml").write_text(TEXT)
    (folder / "broken.py").write_text(BROKEN)
    bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)
    return folder


def opened(folder: Path, metrics: Any) -> Results:
    return bb.results(folder / "benchmarks.yaml", folder / "store", metrics=metrics)


def test_rows_end_with_metrics_and_are_otherwise_as_without(folder: Path) -> None:
    plain, rows = opened(folder, ()).rows(), opened(folder, ["nll", bb.metric("detection-auroc")]).rows()
    added = ["clean_nll", "attacked_nll", "detection_auroc"]
    for before, after in zip(plain, rows, strict=True):
        assert list(after) == [*before, *(added if before["kind"] == "attack" else [])]
        assert {name: after[name] for name in before} == before
    ((_, found), *_) = opened(folder, ()).outcomes()
    assert [rows[0][name] for name in added] == [found.clean_nll, found.attacked_nll, found.detection_auroc()]
    assert [rows[1][name] for name in added] == [None] * 3
    assert rows[1]["status"] == "failed"
    assert "attacked_nll" in opened(folder, "nll").frame().columns
    assert ",clean_nll,attacked_nll," in FORMATS["csv"](opened(folder, "nll")).splitlines()[0]


def test_a_metric_replaces_no_field(folder: Path) -> None:
    results = opened(folder, ())
    results.metrics = {"accuracy": Accuracy()}
    with pytest.raises(bb.ConfigError, match="metric accuracy: rows have a field 'attacked_accuracy' already"):
        results.rows()
