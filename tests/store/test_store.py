"""Records, arrays and draws that were written come back unchanged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bnnbench.errors import StoreError
from bnnbench.store.layout import ARRAYS, RECORD
from bnnbench.store.store import Store

KEY = "ab" * 32


def test_records_and_arrays_come_back(store: Store) -> None:
    record = store.record("cells", KEY)
    assert record is not None
    assert (record["status"], record["number"], record["key"]) == ("ok", 0.1, KEY)
    arrays = store.arrays("cells", KEY, record)
    assert np.array_equal(arrays["a"], np.arange(12, dtype="f4").reshape(3, 4).T)
    assert arrays["b"].tolist() == [True, False]
    assert store.record("cells", "cd" * 32) is None


def test_no_temporary_file_is_left(store: Store) -> None:
    names = sorted(path.name for path in store.place("cells", KEY).iterdir())
    assert names == [ARRAYS, RECORD]


def test_records_are_json_without_nan(store: Store) -> None:
    with pytest.raises(ValueError):
        store.write("fits", KEY, {"value": float("nan")})
    text = (store.place("cells", KEY) / RECORD).read_text()
    assert json.loads(text)["artefacts"][ARRAYS]["bytes"] > 0


def test_find_by_the_beginning_of_a_key(store: Store) -> None:
    assert store.find("abab") == [("cells", KEY)]
    assert store.find("ff") == []


def test_nothing_is_written_or_removed_through_a_link(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / RECORD).write_text("mine")
    other = "cd" * 32
    store.place("cells", other).symlink_to(precious)
    store.write("cells", other, {"status": "failed"})
    assert (precious / RECORD).read_text() == "mine"
    assert store.record("cells", other) is not None
    store.place("cells", "ef" * 32).symlink_to(precious)
    store.remove("cells", "ef" * 32)
    assert (precious / RECORD).read_text() == "mine"


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_who_may_read_is_as_the_umask_says(tmp_path: Path, mask: int) -> None:
    """safetensors writes files that their owner alone may read: a group that shares a store would see half of it."""
    before = os.umask(mask)
    try:
        store = Store(tmp_path / "store")
        with store.held():
            store.write_arrays("cells", KEY, {"status": "ok"}, {"a": np.zeros(3)})
    finally:
        os.umask(before)
    for path in store.path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path


def test_what_cannot_be_written_leaves_nothing(store: Store) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    key = "cd" * 32
    with pytest.raises(StoreError, match="store cannot be written to: no space left on device"):
        store.write("cells", key, {"status": "ok"}, {ARRAYS: fails})
    assert list(store.place("cells", key).iterdir()) == []
    assert store.record("cells", key) is None
