"""The store keeps what it was given, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bnnbench.matrix.store import ARRAYS, RECORD, Store

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    transposed = np.arange(12, dtype="f4").reshape(3, 4).T
    store.write_arrays("cells", KEY, {"status": "ok", "number": 0.1}, {"a": transposed, "b": np.array([True, False])})
    return store


def test_records_and_arrays_come_back(store: Store) -> None:
    record = store.record("cells", KEY)
    assert record is not None
    assert (record["status"], record["number"], record["key"]) == ("ok", 0.1, KEY)
    arrays = store.arrays("cells", KEY)
    assert np.array_equal(arrays["a"], np.arange(12, dtype="f4").reshape(3, 4).T)
    assert arrays["b"].tolist() == [True, False]
    assert store.record("cells", "cd" * 32) is None


def test_no_temporary_file_is_left(store: Store) -> None:
    names = sorted(path.name for path in store.place("cells", KEY).iterdir())
    assert names == [ARRAYS, RECORD]


@pytest.mark.parametrize("name", [RECORD, ARRAYS])
def test_every_flipped_bit_and_every_truncation_is_noticed(store: Store, name: str) -> None:
    place = store.place("cells", KEY)
    contents = {path.name: path.read_bytes() for path in place.iterdir()}
    original = contents[name]
    damaged = [original[:cut] for cut in range(0, len(original), max(1, len(original) // 20))]
    generator = np.random.default_rng(0)
    for bit in generator.choice(8 * len(original), 60, replace=False):
        flipped = bytearray(original)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.append(bytes(flipped))
    for content in damaged:
        place.mkdir(parents=True, exist_ok=True)
        for other, whole in contents.items():
            (place / other).write_bytes(whole)
        (place / name).write_bytes(content)
        assert store.record("cells", KEY) is None
        assert not place.exists()
    assert len(store.quarantined) == len(damaged)


def test_a_record_in_the_wrong_place_is_not_believed(store: Store) -> None:
    other = "cd" * 32
    store.place("cells", other).mkdir()
    for name in (RECORD, ARRAYS):
        (store.place("cells", other) / name).write_bytes((store.place("cells", KEY) / name).read_bytes())
    assert store.record("cells", other) is None
    assert store.record("cells", KEY) is not None


def test_a_missing_artefact_is_noticed(store: Store) -> None:
    (store.place("cells", KEY) / ARRAYS).unlink()
    assert store.record("cells", KEY) is None
    assert "missing" in store.quarantined[0]


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"sha256": "x"}', "\x00\xff", '{"artefacts": 3}'])
def test_foreign_records_are_ignored_with_a_reason(store: Store, text: str) -> None:
    (store.place("cells", KEY) / RECORD).write_text(text, encoding="latin-1")
    assert store.record("cells", KEY) is None
    assert len(store.quarantined) == 1


def test_records_are_json_without_nan(store: Store) -> None:
    with pytest.raises(ValueError):
        store.write("fits", KEY, {"value": float("nan")})
    text = (store.place("cells", KEY) / RECORD).read_text()
    assert json.loads(text)["artefacts"][ARRAYS]["bytes"] > 0


def test_find_by_the_beginning_of_a_key(store: Store) -> None:
    assert store.find("abab") == [("cells", KEY)]
    assert store.find("ff") == []
