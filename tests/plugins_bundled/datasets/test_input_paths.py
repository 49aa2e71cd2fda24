"""Files that a benchmarks file names: relative to it, not in the identity, and told with their line if absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_files import write_classes

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config

FILE = """
version: 1
evaluate: {{images: 4, draws: 2}}
epsilons: [0.1]
datasets:
  points: {{use: table, path: {points}, test_fraction: 0.5}}
  arrays: {{use: table, path: x.npy, label_path: y.npy, test_path: x2.npy, test_label_path: y2.npy}}
  images: {{use: image-folder, path: {images}, test_fraction: 0.5, image_size: 8}}
networks: {{small: {{use: fc, hidden: [4]}}}}
posteriors: {{sgd: {{epochs: 1}}}}
attacks: {{fgsm: {{}}}}
"""


def benchmarks(folder: Path, points: str = "deeper/points.csv", images: str = "images") -> Path:
    """Write a benchmarks file with small data sets beside it; gives its path."""
    (folder / "deeper").mkdir(parents=True)
    rows = [f"{number},{number % 3},{'ab'[number % 2]}" for number in range(12)]
    (folder / "deeper" / "points.csv").write_text("\n".join(["one,two,label", *rows]))
    for name, seed in (("", 0), ("2", 1)):
        np.save(folder / f"x{name}.npy", np.random.default_rng(seed).uniform(size=(12, 2, 3)))
        np.save(folder / f"y{name}.npy", np.arange(12) % 2)
    write_classes(folder / "images", {"a": 6, "b": 6}, 9, 7, 3)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.format(points=points, images=images))
    return path


@pytest.mark.integration
def test_a_run_reads_the_files_beside_the_benchmarks_file_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = benchmarks(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    results = bb.run(file, store=tmp_path / "store", jobs=0)
    assert [(row["dataset"], row["status"]) for row in results.rows()] == [
        (name, "ok") for name in ("points", "arrays", "images")
    ]
    again = bb.run(benchmarks(tmp_path / "two"), store=tmp_path / "store", jobs=0)
    assert {row["cell"] for row in again.rows()} == {row["cell"] for row in results.rows()}


def test_a_file_that_is_absent_is_told_with_its_line(tmp_path: Path) -> None:
    file = benchmarks(tmp_path / "one", points="absent.csv", images="deeper")
    with pytest.raises(bb.ConfigError) as told:
        read_config(file)
    assert [problem.partition(": datasets.")[2] for problem in told.value.problems] == [
        f"points: {tmp_path}/one/absent.csv: no such file",
        f"images: {tmp_path}/one/deeper has no folders of classes; at least two are needed",
    ]
    assert [problem.split(":")[1] for problem in told.value.problems] == ["6", "8"]


def test_a_path_may_be_an_object_or_below_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = benchmarks(tmp_path / "one", points="~/one/deeper/points.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = (one.component for one in read_config(file).variants["dataset"] if one.label == "points")
    table = bb.dataset("table", path=tmp_path / "one" / "deeper" / "points.csv", test_fraction=0.5)
    assert found == table
    home = bb.dataset("table", path="~/x.csv", test_fraction=0.5)
    assert home == bb.dataset("table", path=f"{tmp_path}/x.csv", test_fraction=0.5)
    with pytest.raises(bb.ParameterError, match="path"):
        bb.dataset("table", path=3)
