"""Reports, plans and finished runs read no byte of any draws, however many fits there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bnnbench as bb
from bnnbench.cli.plan import plan as print_plan
from bnnbench.cli.report import Format
from bnnbench.cli.report import report as print_report
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.store import files
from bnnbench.store.housekeeping import contents
from bnnbench.store.records import changed
from bnnbench.store.store import CELLS, DRAWS, FITS, Store

pytestmark = pytest.mark.integration  # A run asks git for the commit.
SEEDS, SIZE = 200, 130_000_000
"""The number of fits, and the bytes of the draws of each."""
FILE = """\
seeds: SEEDS
epsilons: [0.05]
evaluate: {images: 20}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 40}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}}
attacks: {fgsm: }
"""
_watched: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event == "open" and str(arguments[0]).endswith(DRAWS):
        _watched.append(str(arguments[0]))


sys.addaudithook(_watch)  # It sees every file that Python opens, by whatever function.


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The draws that were opened: by Python, or by safetensors, which is called through `read_draws`."""
    global _watched
    _watched = []
    monkeypatch.setattr("bnnbench.store.reading.read_draws", lambda path: _watch("open", (path,)))
    yield _watched
    _watched = None


def written(folder: Path, seeds: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.replace("SEEDS", str(list(range(seeds)))))
    return path


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Plan, Store]:
    """A finished matrix of many fits: the outcome of one real fit, under the keys of all of them."""
    real = bb.run(written(tmp_path / "real", 1), store=tmp_path / "real" / "store", jobs=0)
    fit, cell = real.plan.cells[0].fit.key, real.plan.cells[0].key
    fit_record, cell_record = real.store.record(FITS, fit), real.store.record(CELLS, cell)
    assert fit_record
    assert cell_record
    arrays = real.store.arrays(CELLS, cell, cell_record)
    path = written(tmp_path, SEEDS)
    plan, store = make_plan(read_config(path)), Store(tmp_path / "store")

    def write_sparse(draws: Path) -> None:
        os.truncate(draws, SIZE)

    with monkeypatch.context() as patch, store.held():
        sum_of = files.sum_of
        patch.setattr(files, "sum_of", lambda file: "0" * 64 if file.name == DRAWS else sum_of(file))
        for spec in plan.cells:
            record = changed(fit_record, identity=spec.fit.identity, seed=spec.seed)
            store.write(FITS, spec.fit.key, record, {DRAWS: write_sparse})
            record = changed(cell_record, identity=spec.identity, fit=spec.fit.key, seed=spec.seed)
            store.write_arrays(CELLS, spec.key, record | {"draws_sha256": "0" * 64}, arrays)
    return path, plan, store


def bytes_read() -> int:
    """The bytes that this process has read from files so far."""
    text = Path("/proc/self/io").read_text()
    return int(text.partition("rchar:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count the bytes that are read")
def test_reports_plans_and_finished_runs_read_no_draws(
    matrix: tuple[Path, Plan, Store], opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, store = matrix
    before = bytes_read()
    print_report(path, store.path, form=Format.json, output=path.parent / "report.json")
    print_report(path, store.path)
    print_plan(path, store.path)
    assert capsys.readouterr().out.rstrip().endswith("nothing is left to do")
    results = bb.run(path, store=store.path, jobs=0)
    assert opened == []
    # One file of draws has more bytes than all that was read.
    assert bytes_read() - before < SIZE
    assert results.complete
    assert [row["status"] for row in results.rows()] == ["ok"] * SEEDS
    assert results.store.damaged == []


def test_the_watch_sees_what_reads_draws(matrix: tuple[Path, Plan, Store], opened: list[str]) -> None:
    """The test above could not fail otherwise."""
    _, plan, store = matrix
    fit = plan.cells[0].fit.key
    record = store.record(FITS, fit)
    assert record
    assert opened == []
    assert store.verified_record(FITS, fit) is None
    assert opened
    opened.clear()
    with pytest.raises(bb.DamagedArtefact):
        store.draws(FITS, fit, record)
    assert opened


def test_verifying_a_store_reads_all_draws(tmp_path: Path, opened: list[str]) -> None:
    results = bb.run(written(tmp_path, 2), store=tmp_path / "store", jobs=0)
    opened.clear()
    assert contents(Store(tmp_path / "store")).damaged == []
    assert {Path(path).parent.name for path in opened} == set(results.plan.fits)
