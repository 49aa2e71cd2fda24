"""Runs have the same bits under other locales, hash seeds, folders and orders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from matrices import SMALL, manifest_of
from plugged import bnnbench

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.report.formats import to_json


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("again")
    (folder / "benchmarks.yaml").write_text(SMALL, encoding="utf-8")
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)


def report_elsewhere(folder: Path, text: str, *arguments: str, **variables: str) -> list[dict[str, Any]]:
    """The rows of the same matrix, run by the command in another folder, hash seed, locale and working directory."""
    (folder / "sub").mkdir()
    (folder / "sub" / "matrix.yaml").write_text(text, encoding="utf-8")
    environment = {**os.environ, **variables}
    done = bnnbench("run", "sub/matrix.yaml", "--store", "other", *arguments, folder=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    done = bnnbench(
        "report",
        "matrix.yaml",
        "--store",
        "../other",
        "--format",
        "json",
        folder=folder / "sub",
        environment=environment,
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_hash_seeds_locales_and_folders_change_no_byte(finished: Results, tmp_path: Path) -> None:
    # Without the last two Python makes UTF-8 of this locale, and nothing would be tested.
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    rows = report_elsewhere(tmp_path, SMALL, "-j", "0", PYTHONHASHSEED="7", TZ="Asia/Kathmandu", **locale)
    assert json.dumps(rows, indent=1) + "\n" == to_json(finished)


@pytest.mark.slow
def test_another_order_and_other_rows_change_no_cell(finished: Results, tmp_path: Path) -> None:
    text = """\
epsilons: [0.1, 0.05]
evaluate: {images: 40, draws: 4}
attacks: {fgsm: , pgd: {steps: 3}}
posteriors:
  more: {use: sgd, epochs: 1}
  hmc: {use: pyro-hmc, draws: 4, chains: 2, warmup: 4, leapfrog_steps: 3}
networks: {fc: {hidden: [8]}}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
"""
    # The worst case is about all attacks of the file.
    rows = {
        row["cell"]: {name: value for name, value in row.items() if not name.startswith("worst_")}
        for row in report_elsewhere(tmp_path, text, PYTHONHASHSEED="3", LC_ALL="C.UTF-8")
    }
    shared = [cell.row() for cell in finished.cells if cell.spec.key in rows]
    assert [(row["posterior"], row["attack"], row["epsilon"]) for row in shared] == [("hmc", "pgd", 0.05)]
    assert all(rows[row["cell"]] == row for row in shared)


@pytest.mark.slow
def test_replay_finds_the_same_bits(finished: Results) -> None:
    done = bnnbench("replay", str(manifest_of(finished)), folder=finished.store.path.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "10 fits and cells have the same bits, 0 differ"
