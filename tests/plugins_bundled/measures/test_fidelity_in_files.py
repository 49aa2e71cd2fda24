"""Fidelity in a benchmarks file: one table of all posteriors, and the same rows from what the store keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.report.measure_tables import grids

FILE = """\
version: 1
seeds: [0, 1]
epsilons: [0.05]
evaluate: {images: 30, draws: 4}
datasets: {moons: {use: half-moons, train_size: 40, test_size: 40}}
networks: {fc: {hidden: [8]}}
posteriors:
  sgd: {epochs: 2}
  vi: {use: bayes-by-backprop, epochs: 2, draws: 6}
  mean: {use: mean-network, of: vi}
  one: {use: one-draw, of: vi}
attacks: {fgsm: }
measures:
  fidelity: {reference: vi, attack: fgsm, epsilon: 0.05}
  alone: {use: fidelity, reference: vi}
"""


@pytest.mark.integration
def test_one_table_compares_all_posteriors(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert results.complete, [row["reason"] for row in results.rows()]
    rows = {(row["posterior"], row["seed"], row.get("measure", "")): row for row in results.rows()}
    for name in ("sgd", "vi", "mean", "one"):
        for seed in (0, 1):
            own, attacked = rows[name, seed, "fidelity"], rows[name, seed, ""]
            assert own["own_robust_accuracy"] == attacked["robust_accuracy"]
            assert own["reference_robust_accuracy"] == rows["vi", seed, ""]["robust_accuracy"]
            assert own["clean_accuracy"] == attacked["clean_accuracy"]
    assert rows["vi", 0, "fidelity"]["total_variation"] > 0, "four of its six draws defend"
    assert rows["vi", 0, "fidelity"]["function_distance"] == 0
    assert rows["sgd", 0, "alone"]["own_robust_accuracy"] is None
    again = bb.results(tmp_path / "benchmarks.yaml", store=tmp_path / "store")
    assert again.rows() == results.rows()
    table, alone = grids(again)
    assert table.columns[:3] == ["posterior", "seed", "fit seconds"]
    assert "robust accuracy" in table.columns
    assert not any("robust" in head for head in alone.columns)
    assert any(note.startswith("two halves of the reference: ") for note in table.notes)
    assert any(note.startswith("compared with vi, which is ") for note in table.notes)
