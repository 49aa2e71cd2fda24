"""What is computed again: the same bits whatever is around it, and what is not the same is found and told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugged import bnnbench, install

import bnnbench as bb
from bnnbench.core import saving
from bnnbench.core.posterior import Draws
from bnnbench.matrix.environment import gives_the_same_bits
from bnnbench.matrix.files import TEMPORARY
from bnnbench.matrix.housekeeping import garbage
from bnnbench.matrix.manifest import begun, ended, sealed
from bnnbench.matrix.plan import restricted
from bnnbench.matrix.replay import compared
from bnnbench.matrix.results import Results
from bnnbench.matrix.store import CELLS, DRAWS, FITS, RECORD, Store
from bnnbench.matrix.verification import _beside, same_bits, verified_again, within_tolerance
from bnnbench.report.formats import to_json

FILE = """\
# Naïve on purpose: not every locale can spell it.
epsilons: [0.0, 0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {fc: {hidden: [8]}}
posteriors:
  sgd: {epochs: 2}
  hmc: {use: pyro-hmc, draws: 4, chains: 2, warmup: 4, leapfrog_steps: 3}
attacks: {random: {use: random-sign}, pgd: {steps: 3}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("again")
    (folder / "benchmarks.yaml").write_text(FILE, encoding="utf-8")
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", verify=2)


def copied(finished: Results, folder: Path, *only: str) -> Results:
    """Its outcomes under these labels, in a store of one's own."""
    shutil.copytree(finished.store.path, folder / "store")
    return Results(restricted(finished.plan, only), Store(folder / "store"))


def manifest_of(results: Results) -> Path:
    return sorted((results.store.path / "runs").iterdir())[0]


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


def test_hash_seeds_locales_folders_and_workers_change_no_byte(finished: Results, tmp_path: Path) -> None:
    # Without the last two Python makes UTF-8 of this locale, and nothing would be tested.
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    rows = report_elsewhere(tmp_path, FILE, "-j", "1", PYTHONHASHSEED="7", TZ="Asia/Kathmandu", **locale)
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
    rows = {row["cell"]: row for row in report_elsewhere(tmp_path, text, PYTHONHASHSEED="3", LC_ALL="C.UTF-8")}
    shared = [row for row in finished.rows() if row["cell"] in rows]
    assert [(row["posterior"], row["attack"], row["epsilon"]) for row in shared] == [("hmc", "pgd", 0.05)]
    assert all(rows[row["cell"]] == row for row in shared)


def test_the_manifest_says_with_what_and_holds_no_secret(finished: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(manifest_of(finished).read_text())
    assert told["text"] == FILE
    assert told["distributions"]["torch"] == told["environment"]["versions"]["torch"]
    assert told["components"]["posteriors.hmc"]["distribution"] == "bnnbench"
    assert len(told["components"]["attacks.pgd"]["sha256"]) == 64
    assert {one["status"] for one in told["outcomes"]["cells"].values()} == {"ok"}
    assert len(told["outcomes"]["fits"]) == 2
    assert told["environments"][0]["kernels"]["torch"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    again = bb.run(finished.plan.config.path, store=finished.store.path)
    assert all("hunter2" not in path.read_text() for path in (again.store.path / "runs").iterdir())


@pytest.mark.slow
def test_replay_finds_the_same_bits(finished: Results) -> None:
    done = bnnbench("replay", str(manifest_of(finished)), folder=finished.store.path.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "10 fits and cells have the same bits, 0 differ"


def test_replay_says_what_differs(finished: Results, tmp_path: Path) -> None:
    told = json.loads(manifest_of(finished).read_text())
    told["environment"]["versions"]["torch"] = "1.0"
    key = finished.cells[0].spec.key
    told["outcomes"]["cells"][key]["artefacts"]["arrays.safetensors"] = "0" * 64
    told["outcomes"]["cells"][key]["robust_accuracy"] = 0.125
    told["only"] = ["sgd", "random"]
    (tmp_path / "told.json").write_text(json.dumps(sealed(told)))
    done = bnnbench("replay", "told.json", folder=tmp_path)
    assert done.returncode == 1
    assert "changed: environment.versions: was" in done.stdout
    assert "differs: moons fc sgd random eps 0 seed 0: other bits (clean " in done.stdout
    assert "robust 12.50, now " in done.stdout
    assert done.stdout.splitlines()[-1] == "2 fits and cells have the same bits, 1 differ"


def test_outcomes_without_arrays_are_not_called_the_same_bits(finished: Results, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fits, cells = list(finished.plan.fits), [cell.spec.key for cell in finished.cells]
    arrays = {"x": np.zeros(1)}
    with store.held():
        store.write(FITS, fits[0], {"status": "failed", "reason": "no luck"})
        store.write_arrays(FITS, fits[1], {"status": "ok"}, arrays)
        store.write_arrays(CELLS, cells[1], {"status": "ok"}, arrays)
        store.write(CELLS, cells[2], {"status": "skipped"})
    results = Results(finished.plan, store)
    told = ended(begun(finished.plan), results)
    same = compared(told, told, results)
    assert (same.same, same.without_arrays, same.differences) == (2, 8, [])
    with store.held():
        store.write(FITS, fits[0], {"status": "timeout", "reason": "slow"})
        store.write(CELLS, cells[0], {"status": "failed", "reason": "no luck"})
        store.remove(CELLS, cells[1])
    told["cells"].remove(cells[3])
    other = compared(told, told, Results(finished.plan, store))
    assert (other.same, other.without_arrays) == (1, 5)
    assert [line.partition(": ")[2] for line in other.differences] == [
        "was failed, is timeout: slow",
        "was missing, is failed: no luck",
        "was ok, is missing",
        "has another key now: its parameters, data or code have changed",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no manifest"),
        ("[]", "is no manifest"),
        ('{"schema": 1}', "does not have its own checksum"),
        ("[" * 100_000, "is no manif"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "told.json").write_text(text)
    done = bnnbench("replay", "told.json", folder=tmp_path)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


MOODY = """
import time
from bnnbench import Attack, hookimpl

class Moody(Attack):
    '''Another answer each time.'''
    def perturb(self, victim, x, y, threat, rng):
        return threat.project(x, x + threat.epsilon * ((time.time_ns() // 1000) % 997) / 997)

@hookimpl
def bnnbench_register(registry):
    registry.attack("moody", Moody)
"""


def test_a_cell_that_comes_out_otherwise_becomes_invalid(tmp_path: Path) -> None:
    environment = install(tmp_path, MOODY, "moody")
    text = FILE.replace("random: {use: random-sign}, pgd: {steps: 3}", "moody: ").replace("[0.0, 0.05]", "[0.05]")
    (tmp_path / "benchmarks.yaml").write_text(text)
    done = bnnbench("run", "--only", "sgd", "--verify", "1", folder=tmp_path, environment=environment)
    assert done.returncode == 1, done.stderr
    done = bnnbench("report", "--only", "sgd", "--format", "json", folder=tmp_path, environment=environment)
    (row,) = json.loads(done.stdout)
    assert row["status"] == "invalid"


def test_verification_in_another_environment_allows_rounding_alone(finished: Results) -> None:
    cell = finished.cells[1]
    record = finished.store.record(CELLS, cell.spec.key)
    assert record is not None
    elsewhere = {**record["environment"], "cpu": "another"}
    assert not gives_the_same_bits(record["environment"], elsewhere)
    assert gives_the_same_bits(record["environment"], {**record["environment"], "platform": "a newer kernel"})
    outcome = cell.outcome
    assert outcome is not None
    nearly = {**vars(outcome), "clean_log_probs": outcome.clean_log_probs + np.float32(1e-5)}
    far = {**vars(outcome), "clean_log_probs": outcome.clean_log_probs + np.float32(1e-2)}
    assert within_tolerance(outcome, type(outcome)(**nearly))
    assert not within_tolerance(outcome, type(outcome)(**far))
    arrays = finished.store.arrays(CELLS, cell.spec.key, record)
    assert same_bits(arrays, arrays)
    assert not same_bits(arrays, {**arrays, "distance": arrays["distance"].astype("f2")})


def test_a_tampered_outcome_is_found_though_its_checksums_are_right(finished: Results, tmp_path: Path) -> None:
    """Somebody who writes a better number, checksums and all, is caught by computing the cell again."""
    results = copied(finished, tmp_path, "sgd", "pgd")
    cell = results.cells[-1].spec
    with results.store.held():
        record = results.store.record(CELLS, cell.key)
        assert record is not None
        arrays = results.store.arrays(CELLS, cell.key, record)
        arrays["attacked_log_probs"] = arrays["clean_log_probs"].copy() - np.float32(0.5)
        kept = {name: value for name, value in record.items() if name not in ("sha256", "artefacts", "key")}
        results.store.write_arrays(CELLS, cell.key, kept, arrays)
        (check, *_) = [
            one for one in verified_again(Results(results.plan, results.store), 2, 1) if one.cell.key == cell.key
        ]
    assert not check.right
    assert "it came out otherwise" in check.told
    after = Results(results.plan, results.store).cells[-1]
    assert (after.status, "it came out otherwise" in after.reason) == ("invalid", True)


def test_a_verification_that_fails_in_another_environment_fails_the_run(finished: Results, tmp_path: Path) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    cell = results.cells[-1].spec
    with results.store.held():
        record = results.store.record(CELLS, cell.key)
        assert record is not None
        arrays = results.store.arrays(CELLS, cell.key, record)
        arrays["clean_log_probs"] -= np.float32(0.1)
        kept = {name: value for name, value in record.items() if name not in ("sha256", "artefacts", "key")}
        kept["environment"] = {**kept["environment"], "cpu": "another"}
        results.store.write_arrays(CELLS, cell.key, kept, arrays)
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"], verify=9)
    assert [(check.right, check.told[:6]) for check in again.checks if check.cell.key == cell.key] == [
        (False, "BEYOND")
    ]
    assert not again.complete
    assert again.cells[-1].status == "ok"


def test_a_replay_in_the_run_s_own_store_is_refused_and_goes_on_in_its_own(finished: Results, tmp_path: Path) -> None:
    told = manifest_of(finished)
    done = bnnbench("replay", str(told), "--store", str(finished.store.path), folder=tmp_path)
    assert (done.returncode, "the store of another run" in done.stderr) == (2, True)
    short = {**json.loads(told.read_text()), "only": ["sgd", "random"]}
    (tmp_path / "told.json").write_text(json.dumps(sealed(short)))
    for tasks in (2, 0):
        done = bnnbench("replay", "told.json", "--store", "own", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{tasks} tasks to run" in done.stderr


def with_other_draws(results: Results) -> None:
    """Write the store's one fit anew, as it may come out on another computer: a little different."""
    (spec,) = results.plan.fits.values()
    store = results.store
    with store.held():
        record = store.record(FITS, spec.key)
        assert record is not None
        draws, _ = saving.read_draws(store.place(FITS, spec.key) / DRAWS)
        moved = Draws({name: array + np.float32(0.5) for name, array in draws.arrays.items()}, shared=draws.shared)
        kept = {name: value for name, value in record.items() if name not in ("sha256", "artefacts", "key")}
        store.write(FITS, spec.key, kept, {DRAWS: lambda path: saving.write_draws(path, moved)})


def test_outcomes_of_draws_that_are_no_more_are_not_shown_and_computed_again(finished: Results, tmp_path: Path) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    first = results.cells[0].outcome
    with_other_draws(results)
    stale = Results(results.plan, results.store)
    assert {(cell.status, cell.reason) for cell in stale.cells} == {
        ("missing", "its fit was computed anew since, and has other draws")
    }
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"])
    assert again.complete
    second = again.cells[0].outcome
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.clean_log_probs, second.clean_log_probs)


@pytest.mark.parametrize("elsewhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fit_that_is_lost_keeps_its_cells_if_it_comes_back_the_same(
    finished: Results, tmp_path: Path, elsewhere: bool
) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    if elsewhere:
        with_other_draws(results)
        results = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"])
    (fit,) = results.plan.fits
    places = [results.store.place(CELLS, cell.spec.key) / RECORD for cell in results.cells]
    before = [place.stat().st_mtime_ns for place in places]
    shutil.rmtree(results.store.place(FITS, fit))
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"])
    assert again.complete
    assert [place.stat().st_mtime_ns != old for place, old in zip(places, before, strict=True)] == [elsewhere] * 2


def test_only_what_a_record_names_is_taken_along(tmp_path: Path) -> None:
    """A link beside it may lead anywhere."""
    store, key = Store(tmp_path / "store"), "ab" * 32
    store.write(FITS, key, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws")})
    (store.place(FITS, key) / "around").symlink_to(tmp_path)
    with _beside(store, {key, "cd" * 32}) as other:
        assert other.path.is_relative_to(store.path)
        assert sorted(path.name for path in other.place(FITS, key).iterdir()) == [DRAWS, RECORD]
        assert [place for place in garbage(store) if place.name.startswith(TEMPORARY)]
    assert list(store.path.iterdir()) == [store.path / FITS]
