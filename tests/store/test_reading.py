"""Damaged records and artefacts are noticed when they are read."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import write_draws
from bnnbench.errors import DamagedArtefact, StoreError
from bnnbench.store.layout import ARRAYS, CELLS, DRAWS, RECORD
from bnnbench.store.records import own_sum
from bnnbench.store.store import Store

KEY = "ab" * 32


def rewritten(store: Store, name: str, contents: Iterable[bytes]) -> Iterator[Path]:
    """The record's place, with each of these contents in turn in one of its files, all others as they were."""
    place = store.place("cells", KEY)
    whole = {path.name: path.read_bytes() for path in place.iterdir()}
    for content in contents:
        place.mkdir(parents=True, exist_ok=True)
        for other, original in whole.items():
            (place / other).write_bytes(content if other == name else original)
        yield place


def flipped(original: bytes) -> Iterator[bytes]:
    """60 copies, each with another bit flipped."""
    for bit in np.random.default_rng(0).choice(8 * len(original), 60, replace=False):
        copy = bytearray(original)
        copy[bit // 8] ^= 1 << (bit % 8)
        yield bytes(copy)


@pytest.mark.parametrize("name", [RECORD, ARRAYS])
def test_every_truncation_is_noticed_when_the_record_is_read(store: Store, name: str) -> None:
    original = (store.place("cells", KEY) / name).read_bytes()
    cuts = range(0, len(original), max(1, len(original) // 20))
    for place in rewritten(store, name, [original[:cut] for cut in cuts]):
        assert store.record("cells", KEY) is None
        assert not place.exists()
    assert len(store.damaged) == len(cuts)


def test_every_flipped_bit_of_a_record_is_noticed_when_it_is_read(store: Store) -> None:
    original = (store.place("cells", KEY) / RECORD).read_bytes()
    for place in rewritten(store, RECORD, flipped(original)):
        assert store.record("cells", KEY) is None
        assert not place.exists()
    assert len(store.damaged) == 60


def test_every_flipped_bit_of_arrays_is_noticed_when_they_are_loaded(store: Store) -> None:
    """Reading the record looks at their size alone."""
    original = (store.place("cells", KEY) / ARRAYS).read_bytes()
    for place in rewritten(store, ARRAYS, flipped(original)):
        record = store.record("cells", KEY)
        assert record is not None
        with pytest.raises(DamagedArtefact, match="checksum"):
            store.arrays("cells", KEY, record)
        assert store.verified_record("cells", KEY) is None
        assert not place.exists()


def test_every_flipped_bit_of_draws_is_noticed_when_they_are_loaded(store: Store) -> None:
    draws = Draws({"w": np.arange(12.0).reshape(1, 3, 4)})
    store.write("fits", KEY, {"status": "ok"}, {DRAWS: lambda path: write_draws(path, draws)})
    path = store.place("fits", KEY) / DRAWS
    original = path.read_bytes()
    record = store.record("fits", KEY)
    assert record is not None
    assert np.array_equal(store.draws("fits", KEY, record).arrays["w"], draws.arrays["w"])
    reader = Store(store.path)
    for content in flipped(original):
        path.write_bytes(content)
        assert reader.record("fits", KEY) == record
        with pytest.raises(DamagedArtefact, match="checksum"):
            reader.draws("fits", KEY, record)


@pytest.mark.parametrize("load", [Store.draws, Store.arrays])
def test_an_artefact_that_is_gone_since_its_record_was_read_is_damaged(store: Store, load: Any) -> None:
    name = {Store.draws: DRAWS, Store.arrays: ARRAYS}[load]
    store.write("fits", KEY, {"status": "ok"}, {name: lambda path: path.write_bytes(b"x") and None})
    record = store.record("fits", KEY)
    assert record is not None
    (store.place("fits", KEY) / name).unlink()
    with pytest.raises(DamagedArtefact):
        load(store, "fits", KEY, record)


def test_reading_a_record_reads_none_of_its_artefacts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report over thousands of fits would read all their draws."""
    read: list[str] = []
    opened = os.open

    def noted(path: Any, *arguments: Any, **options: Any) -> int:
        read.append(Path(path).name)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", noted)
    assert store.record("cells", KEY) is not None
    assert read == [RECORD]


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
    assert "missing" in store.damaged[0]


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"sha256": "x"}', "\x00\xff", '{"artefacts": 3}'])
def test_foreign_records_are_ignored_with_a_reason(store: Store, text: str) -> None:
    (store.place("cells", KEY) / RECORD).write_text(text, encoding="latin-1")
    assert store.record("cells", KEY) is None
    assert len(store.damaged) == 1


def test_arrays_that_change_after_their_record_was_read_are_refused(store: Store) -> None:
    record = store.record("cells", KEY)
    assert record is not None
    path = store.place("cells", KEY) / ARRAYS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="checksum"):
        store.arrays("cells", KEY, record)


def test_a_reader_ignores_what_is_damaged_and_changes_nothing(store: Store) -> None:
    (store.place("cells", KEY) / ARRAYS).write_bytes(b"")
    reader = Store(store.path)
    assert reader.record("cells", KEY) is None
    assert "ignored" in reader.damaged[0]
    assert (store.place("cells", KEY) / RECORD).is_file()


def test_what_cannot_be_read_is_not_called_damaged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights, memory and descriptors are its reader's; a checksum is the file's."""

    def read_plain(path: Path, limit: int | None = None) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("bnnbench.store.files.read_plain", read_plain)
    with pytest.raises(StoreError, match="cannot be read: permission denied"):
        store.record("cells", KEY)
    assert store.damaged == []
    assert (store.place("cells", KEY) / RECORD).is_file()


@pytest.mark.parametrize("linked", ["record", "artefact", "folder"])
def test_links_are_not_followed(store: Store, tmp_path: Path, linked: str) -> None:
    place = store.place("cells", KEY)
    path = {"record": place / RECORD, "artefact": place / ARRAYS, "folder": place}[linked]
    elsewhere = tmp_path / path.name
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    assert store.record("cells", KEY) is None
    assert len(store.damaged) == 1
    assert elsewhere.exists()


def test_what_a_terminal_obeys_is_not_told_of_a_strangers_record(store: Store) -> None:
    place = store.place("cells", KEY)
    record = json.loads((place / RECORD).read_text())
    record["artefacts"] = {"\x1b[31mred": {"sha256": "", "bytes": 3}}
    record["sha256"] = own_sum(record)
    (place / RECORD).write_text(json.dumps(record))
    assert store.record("cells", KEY) is None
    assert "?[31mred is missing" in store.damaged[0]


def test_a_reader_looks_twice_at_what_may_be_being_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its look at a record and that at the arrays another process may have replaced both."""
    arrays = store.place(CELLS, KEY) / ARRAYS
    content = arrays.read_bytes()
    arrays.unlink()
    monkeypatch.setattr("time.sleep", lambda _: arrays.write_bytes(content))
    reader = Store(store.path)
    assert reader.record(CELLS, KEY) is not None
    assert reader.damaged == []


@pytest.mark.parametrize("seconds", [10**400, -1, 1e300])
def test_a_record_that_took_no_time_that_there_is_is_not_believed(store: Store, seconds: float) -> None:
    place = store.place(CELLS, KEY) / RECORD
    record = json.loads(place.read_text()) | {"seconds": seconds}
    place.write_text(json.dumps(record | {"sha256": own_sum(record)}))
    assert store.record(CELLS, KEY) is None
    assert "its seconds is not what it must be" in store.damaged[0]


@pytest.mark.parametrize("change", ["replaced", "removed"])
@pytest.mark.parametrize("load", [Store.draws, Store.arrays])
def test_what_a_run_replaces_beside_a_reader_is_not_called_damaged(store: Store, change: str, load: Any) -> None:
    """The reader has read the record, and not yet the draws or arrays that it names."""
    name = {Store.draws: DRAWS, Store.arrays: ARRAYS}[load]
    for content in (b"before", b"after."):
        reader = Store(store.path)
        record = reader.record("fits", KEY)
        store.write("fits", KEY, {"status": "ok"}, {name: lambda path, content=content: path.write_bytes(content)})
    if change == "removed":
        store.remove("fits", KEY)
    assert record is not None
    with pytest.raises(DamagedArtefact, match="was removed or replaced while it was read"):
        load(reader, "fits", KEY, record)
    assert reader.damaged == []
    assert reader.distrusted == set()
