"""Records and arrays of strangers, with right checksums: a person who can write a file can give it one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from commands import called
from strangers import EVIL, IN_ORDER, OK, Trap, loaded, stored

from bnnbench.errors import StoreError
from bnnbench.evidence.results import Results
from bnnbench.measurements.outcome import OUTCOME
from bnnbench.report.formats import FORMATS
from bnnbench.store import codec
from bnnbench.store.store import ARRAYS, CELLS, Store


def test_reasons_of_strangers_obey_nobody(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "failed", "reason": EVIL, "warnings": []}, None)
    assert results.cells[0].reason.isprintable()
    for form, write in FORMATS.items():
        text = write(results)
        assert "\x1b" not in text, form
        assert "\u202e" not in text, form
    done = called("report", folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


@pytest.mark.parametrize(
    "record",
    [
        {"status": "ok", "reason": "", "warnings": []},
        {"status": "splendid", "reason": "", "warnings": []},
        {"status": "ok", "reason": 3, "warnings": []},
        {"status": "ok", "reason": "", "warnings": {}},
        {"reason": ""},
    ],
)
@pytest.mark.parametrize("arrays", [None, {}, {"label": np.zeros(3)}])
def test_records_of_strangers_end_in_no_traceback(
    tmp_path: Path, record: dict[str, object], arrays: dict[str, np.ndarray] | None
) -> None:
    results = stored(tmp_path, record, arrays)
    assert [row["status"] for row in results.rows()] == ["missing"]


def test_images_that_are_no_images_are_no_outcome() -> None:
    with pytest.raises(ValueError, match="inputs"):
        codec.decoded(OUTCOME, OK, IN_ORDER | {"inputs": np.float32(0)})


def test_an_outcome_in_order_is_found(tmp_path: Path) -> None:
    results = stored(tmp_path, OK, IN_ORDER)
    assert [row["robust_accuracy"] for row in results.rows()] == [0.5]
    assert loaded(results).robust.tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in sorted(IN_ORDER) if name not in ("zero_direction", "zero_gradient")),
        *({name: array[:3]} for name, array in sorted(IN_ORDER.items()) if name != "inputs"),
        *({name: array[None]} for name, array in sorted(IN_ORDER.items()) if name != "inputs"),
        {name: array[:0] for name, array in IN_ORDER.items()},
        {"inputs": np.zeros(11)},
        {"label": np.full(10, 2)},
        {"label": np.full(10, -1)},
        {"label": np.zeros(10)},
        {"index": np.zeros(10, np.complex64)},
        {"zero_gradient": np.full(10, np.nan)},
        {"zero_direction": np.zeros(10, np.complex64)},
        {"distance": np.zeros(10, np.complex64)},
        {"clean_log_probs": np.zeros((10, 0)), "attacked_log_probs": np.zeros((10, 0))},
        {"clean_log_probs": np.full((10, 2), np.nan)},
        {"attacked_log_probs": np.full((10, 2), -np.inf)},
        {"clean_log_probs": np.full((10, 2), 1e300), "attacked_log_probs": np.full((10, 2), 1e300)},
        {"attacked_log_probs": np.log(np.full((10, 3), 1 / 3))},
        {"attacked_log_probs": np.zeros((10, 2), np.complex64)},
        {"step.objective": np.zeros(10)},
        {"step.objective": np.zeros((3, 9))},
        {"draws": np.zeros(10)},
        {"stranger": np.zeros(10)},
    ],
    ids=lambda changes: " ".join(f"{name} {getattr(array, 'shape', '')}" for name, array in changes.items()),
)
def test_arrays_of_strangers_are_missing_with_a_reason(tmp_path: Path, changes: dict[str, np.ndarray | None]) -> None:
    arrays = {name: array for name, array in (IN_ORDER | changes).items() if array is not None}
    results = stored(tmp_path, OK, arrays)
    (row,) = results.rows()
    assert row["status"] == "missing"
    assert "not those of an outcome" in row["reason"]
    assert row["reason"].isprintable()
    with pytest.raises(StoreError, match="not those of an outcome"):
        loaded(results)
    for write in FORMATS.values():
        write(results)


def test_arrays_of_another_number_of_images_than_the_records_are_missing_with_a_reason(tmp_path: Path) -> None:
    (row,) = stored(tmp_path, OK | {"images": 11}, IN_ORDER).rows()
    assert row["status"] == "missing"
    assert "not those of an outcome" in row["reason"]


@pytest.mark.parametrize(
    "changes", [{"draws": "5"}, {"attack_draws": None}, {"stops_early": 1}, {"draws": 1.5}, {"images": "10"}]
)
def test_numbers_of_strangers_are_missing_with_a_reason(tmp_path: Path, changes: dict[str, object]) -> None:
    (row,) = stored(tmp_path, OK | changes, IN_ORDER).rows()
    assert row["status"] == "missing"
    assert next(iter(changes)) in row["reason"]


def test_arrays_of_a_type_that_numpy_lacks_are_missing(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    results = stored(tmp_path, OK, IN_ORDER)
    key, halves = results.plan.cells[0].key, {"label": torch.zeros(3, dtype=torch.bfloat16)}
    with results.store.held():
        results.store.write(CELLS, key, OK, {ARRAYS: lambda path: save_file(halves, path)})
    assert results.rows()[0]["status"] == "missing"
    done = called("show", key, folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("threat", [{"epsilon": "x"}, {"radius": 1}, {"epsilon": -1.0}, {}, []])
def test_threats_of_strangers_end_in_no_traceback(tmp_path: Path, threat: object) -> None:
    results = stored(tmp_path, OK | {"identity": {"threat": threat}}, IN_ORDER)
    done = called("show", results.plan.cells[0].key, folder=tmp_path)
    assert "Traceback" not in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) in ((0, 0), (2, 1))


@pytest.mark.parametrize("card", ["x", [], ["level"], 3, {}, {"why": "x"}, {"level": []}, {"level": EVIL, "why": EVIL}])
def test_cards_of_strangers_obey_nobody(tmp_path: Path, card: object) -> None:
    results = stored(tmp_path, OK, IN_ORDER, card=card)
    (row,) = results.rows()
    assert row["status"] == "ok"
    assert row["card"] is None or row["card"].isprintable()
    for write in FORMATS.values():
        write(results)


def test_reasons_of_cards_obey_nobody(tmp_path: Path) -> None:
    results = stored(tmp_path, OK, IN_ORDER, card={"level": "short", "why": EVIL})
    (warning,) = results.rows()[0]["warnings"]
    assert warning.startswith("posterior is short")
    assert warning.isprintable()
    done = called("report", folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


def test_a_pickle_in_the_place_of_an_artefact_is_not_read(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "ok", "reason": "", "warnings": []}, {"label": np.zeros(3)})
    (results.store.place(CELLS, results.cells[0].spec.key) / ARRAYS).write_bytes(pickle.dumps(Trap()))
    (row,) = Results(results.plan, Store(results.store.path)).rows()
    assert (row["status"], row["reason"]) == ("missing", "damaged in the store; the next run computes it again")
    assert not list(tmp_path.rglob("sprung"))


def test_a_fifo_in_the_place_of_a_record_does_not_block(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "failed", "reason": "x", "warnings": []}, None)
    path = results.store.place(CELLS, results.cells[0].spec.key) / "record.json"
    path.unlink()
    os.mkfifo(path)
    assert Results(results.plan, Store(results.store.path)).rows()[0]["status"] == "missing"
