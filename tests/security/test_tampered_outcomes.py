"""Outcomes that do not belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import called
from strangers import FILE, in_store

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.report.formats import FORMATS
from bnnbench.store.store import CELLS, Store

TWO_ATTACKS = FILE.replace("{fgsm: {}}", "{fgsm: {}, random: {use: random-sign}}").replace(
    "epsilons", "evaluate: {images: 20}\nepsilons"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished run of two attacks on 20 images."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "benchmarks.yaml").write_text(TWO_ATTACKS)
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)


@pytest.fixture
def tampered(finished: Results, tmp_path: Path) -> Results:
    """A copy of the run in which the first outcome has been cut to 10 images."""
    shutil.copytree(finished.store.path.parent, tmp_path, dirs_exist_ok=True)
    results = Results(finished.plan, Store(tmp_path / "store"))
    key, record = results.cells[0].spec.key, in_store(results)
    fewer = {
        name: array if name == "inputs" else array[:, :10] if name.startswith("step.") else array[:10]
        for name, array in results.store.arrays(CELLS, key, record).items()
    }
    fewer["inputs"] = fewer["inputs"][:10]
    with results.store.held():
        results.store.write_arrays(CELLS, key, record | {"images": 10}, fewer)
    return Results(results.plan, Store(results.store.path))


def test_outcomes_about_other_images_are_not_put_together(tampered: Results) -> None:
    assert [row["status"] for row in tampered.rows()] == ["ok", "missing"]
    assert "other images" in tampered.rows()[1]["reason"]
    for write in FORMATS.values():
        write(tampered)


@pytest.mark.parametrize("environment", [{}, {"cpu": "of another kind"}])
def test_an_outcome_about_other_images_does_not_come_out_again(
    tampered: Results, tmp_path: Path, environment: dict[str, str]
) -> None:
    key, record = tampered.plan.cells[0].key, in_store(tampered)
    with tampered.store.held():
        arrays = tampered.store.arrays(CELLS, key, record)
        record["environment"] |= environment
        tampered.store.write_arrays(CELLS, key, record, arrays)
    done = called("run", "-j", "0", "--verify", "1", folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "they are about other images or classes" in done.stderr


def test_no_command_ends_in_a_traceback_on_arrays_that_do_not_agree(tampered: Results, tmp_path: Path) -> None:
    key, record = tampered.plan.cells[0].key, in_store(tampered)
    with tampered.store.held():
        arrays = tampered.store.arrays(CELLS, key, record)
        tampered.store.write_arrays(CELLS, key, record, arrays | {"label": arrays["label"][:3]})
    assert called("report", folder=tmp_path).returncode == 0
    done = called("show", key, folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "not those of an outcome" in done.stderr
    assert "Traceback" not in called("run", "-j", "0", "--verify", "2", folder=tmp_path).stderr
