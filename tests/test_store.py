"""The store keeps what it was given, and nothing else."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bnnbench.errors import StoreError
from bnnbench.matrix.store import ARRAYS, CELLS, RECORD, Store, own_sum

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    transposed = np.arange(12, dtype="f4").reshape(3, 4).T
    with store.held():
        store.write_arrays(
            "cells", KEY, {"status": "ok", "number": 0.1}, {"a": transposed, "b": np.array([True, False])}
        )
        yield store


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
    assert len(store.damaged) == len(damaged)


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


def test_records_are_json_without_nan(store: Store) -> None:
    with pytest.raises(ValueError):
        store.write("fits", KEY, {"value": float("nan")})
    text = (store.place("cells", KEY) / RECORD).read_text()
    assert json.loads(text)["artefacts"][ARRAYS]["bytes"] > 0


def test_find_by_the_beginning_of_a_key(store: Store) -> None:
    assert store.find("abab") == [("cells", KEY)]
    assert store.find("ff") == []


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

    monkeypatch.setattr("bnnbench.matrix.files.read_plain", read_plain)
    with pytest.raises(StoreError, match="cannot be read: permission denied"):
        store.record("cells", KEY)
    assert store.damaged == []
    assert (store.place("cells", KEY) / RECORD).is_file()


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


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="cannot be used as a store"), Store(folder).held():
        raise AssertionError("held through a link")
    assert (tmp_path / "precious").read_text() == "mine"


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


def test_a_kind_that_is_a_link_refuses_the_store(store: Store, tmp_path: Path) -> None:
    shutil.move(store.path / "cells", tmp_path / "elsewhere")
    (store.path / "cells").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"):
        Store(store.path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"format": 99}', "upgrade bnnbench"),
        ("[]", "does not say"),
        ('{"format": true}', "knows 1"),
        ("\x00", "does not"),
    ],
)
def test_what_is_no_store_of_this_format_is_refused(store: Store, content: str, told: str) -> None:
    (store.path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=told):
        Store(store.path)


def test_a_directory_of_somebody_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"is not a store of bnnbench: it holds 'thesis\.tex'"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_without_a_marker_becomes_a_current_one(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(store.path / "cells", old / "cells")
    assert Store(old).record("cells", KEY) is not None
    with Store(old).held():
        assert json.loads((old / "store.json").read_text())["format"] == 1
    assert Store(old).record("cells", KEY) is not None


def test_a_second_writer_is_refused_by_the_name_of_the_first(store: Store) -> None:
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()} on "), Store(store.path).held():
        raise AssertionError("held twice")


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(StoreError, match="lies on a file system without locks"), Store(tmp_path / "store").held():
        raise AssertionError("held without a lock")


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


def test_what_a_terminal_obeys_is_not_told_of_a_strangers_record(store: Store) -> None:
    place = store.place("cells", KEY)
    record = json.loads((place / RECORD).read_text())
    record["artefacts"] = {"\x1b[31mred": {"sha256": "", "bytes": 3}}
    record["sha256"] = own_sum(record)
    (place / RECORD).write_text(json.dumps(record))
    assert store.record("cells", KEY) is None
    assert "?[31mred is missing" in store.damaged[0]


def test_the_lock_of_a_killed_process_is_not_stale(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from bnnbench.matrix.store import Store\n"
        "with Store(sys.argv[1]).held(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = tmp_path / "store"
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -9
    with Store(folder).held():
        assert (folder / ".lock").read_text().startswith(f"process {os.getpid()} ")


def test_what_cannot_be_written_leaves_nothing(store: Store) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    key = "cd" * 32
    with pytest.raises(StoreError, match="store cannot be written to: no space left on device"):
        store.write("cells", key, {"status": "ok"}, {ARRAYS: fails})
    assert list(store.place("cells", key).iterdir()) == []
    assert store.record("cells", key) is None


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


def test_a_directory_of_other_things_is_no_unmarked_store(tmp_path: Path) -> None:
    for name in ("quarantine", "runs"):
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match="holds no fits and no cells"):
        Store(tmp_path)
