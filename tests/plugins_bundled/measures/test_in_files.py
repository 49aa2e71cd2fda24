"""The bundled measures in a benchmarks file: what the store keeps gives the same figures."""

from __future__ import annotations

from pathlib import Path

import bnnbench as bb

FILE = """\
version: 1
evaluate: {images: 12, draws: 4}
datasets: {moons: {use: half-moons, train_size: 40, test_size: 20}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 2}, vi: {use: bayes-by-backprop, epochs: 2, draws: 6}}
measures:
  gradients:
  stability: {samples: 5}
  binarisation: {attack: {use: pgd, steps: 5}, epsilon: 0.05, tests: 3, inner: 20}
"""


def test_measures_are_cells_that_are_kept(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert results.complete
    rows = {(row["posterior"], row["measure"]): row for row in results.rows()}
    assert [rows["sgd", name]["draws"] for name in ("gradients", "stability", "binarisation")] == [1, 1, 1]
    assert [rows["vi", name]["draws"] for name in ("gradients", "stability", "binarisation")] == [4, 4, 4]
    assert rows["sgd", "gradients"]["plateau"] is None
    assert rows["vi", "gradients"]["plateau_low"] <= rows["vi", "gradients"]["plateau_high"]
    assert rows["vi", "binarisation"]["tests"] == 3
    again = bb.results(tmp_path / "benchmarks.yaml", store=tmp_path / "store")
    assert again.rows() == results.rows()
