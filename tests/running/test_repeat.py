"""Cells computed again, and compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matrices import SMALL, copied, unsealed

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.running.repeat import _scratch_store, repeated, same_bits, within_tolerance
from bnnbench.store.environment import gives_the_same_bits
from bnnbench.store.files import TEMPORARY
from bnnbench.store.housekeeping import garbage
from bnnbench.store.store import CELLS, DRAWS, FITS, RECORD, Store

pytestmark = pytest.mark.integration

MOODY = """
import bnnbench as bb

seen = []

class Moody(bb.Attack):
    '''Gives other inputs each time that it is given all images; the trial on a few of them shows nothing.'''
    def perturb(self, victim, x, y, threat, rng):
        if len(x) == 40:
            seen.append(len(x))
        return threat.project(x, x + threat.epsilon * (len(seen) % 7) / 7)
"""


def test_a_cell_that_comes_out_otherwise_becomes_invalid(tmp_path: Path) -> None:
    (tmp_path / "moody.py").write_text(MOODY)
    text = SMALL.replace("random: {use: random-sign}, pgd: {steps: 3}", "moody: {use: 'moody.py:Moody'}")
    (tmp_path / "benchmarks.yaml").write_text(text.replace("[0.0, 0.05]", "[0.05]"), encoding="utf-8")
    first = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0, only=["sgd"])
    assert [row["status"] for row in first.rows()] == ["ok"]
    again = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0, only=["sgd"], verify=1)
    assert not again.complete
    (row,) = again.rows()
    assert row["status"] == "invalid"
    assert "computed again with the same seed" in row["reason"]


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
    """A better number that was written with right checksums is found by computing the cell again."""
    results = copied(finished, tmp_path, "sgd", "pgd")
    cell = results.cells[-1].spec
    with results.store.held():
        record = results.store.record(CELLS, cell.key)
        assert record is not None
        arrays = results.store.arrays(CELLS, cell.key, record)
        arrays["attacked_log_probs"] = arrays["clean_log_probs"].copy() - np.float32(0.5)
        kept = unsealed(record)
        results.store.write_arrays(CELLS, cell.key, kept, arrays)
        (check, *_) = [one for one in repeated(Results(results.plan, results.store), 2, 0) if one.cell.key == cell.key]
    assert not check.right
    assert "it gave a different result" in check.message
    after = Results(results.plan, results.store).cells[-1]
    assert (after.status, "it gave a different result" in after.reason) == ("invalid", True)


def test_a_verification_that_fails_in_another_environment_fails_the_run(finished: Results, tmp_path: Path) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    cell = results.cells[-1].spec
    with results.store.held():
        record = results.store.record(CELLS, cell.key)
        assert record is not None
        arrays = results.store.arrays(CELLS, cell.key, record)
        arrays["clean_log_probs"] -= np.float32(0.1)
        kept = unsealed(record)
        kept["environment"] = {**kept["environment"], "cpu": "another"}
        results.store.write_arrays(CELLS, cell.key, kept, arrays)
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"], jobs=0, verify=9)
    assert [(check.right, check.message[:6]) for check in again.checks if check.cell.key == cell.key] == [
        (False, "BEYOND")
    ]
    assert not again.complete
    assert again.cells[-1].status == "ok"


def test_only_what_a_record_names_is_taken_along(tmp_path: Path) -> None:
    """A link beside it may lead anywhere."""
    store, key = Store(tmp_path / "store"), "ab" * 32
    store.write(FITS, key, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws")})
    (store.place(FITS, key) / "around").symlink_to(tmp_path)
    with _scratch_store(store, {key, "cd" * 32}) as other:
        assert other.path.is_relative_to(store.path)
        assert sorted(path.name for path in other.place(FITS, key).iterdir()) == [DRAWS, RECORD]
        assert [place for place in garbage(store) if place.name.startswith(TEMPORARY)]
    assert list(store.path.iterdir()) == [store.path / FITS]
