"""`bnnbench store`: info, verify and gc."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import called

from bnnbench.store.files import TEMPORARY
from bnnbench.store.housekeeping import size_of
from bnnbench.store.lock import LOCK
from bnnbench.store.store import ARRAYS, CELLS, CHAINS, FITS, RECORD, Store

FIT, OTHER, CELL = "aa" * 32, "bb" * 32, "cc" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    with store.held():
        store.write(FITS, FIT, {"status": "ok"})
        store.write(CHAINS, f"{FIT}-0", {"status": "ok"})
        store.write(CHAINS, f"{OTHER}-0", {"status": "ok"})
        store.write_arrays(CELLS, CELL, {"status": "failed"}, {"x": np.zeros(3)})
    return store


def told(store: Store, *arguments: str) -> tuple[int, str]:
    done = called("store", *arguments, folder=store.path.parent)
    return done.returncode, done.stdout + done.stderr


def test_info_counts_by_kind_and_status(store: Store) -> None:
    code, text = told(store, "info")
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "store: format 1"
    assert lines[1].startswith("fits 1 ")
    assert lines[1].endswith("1 ok")
    assert lines[2].startswith("chains 2 ")
    assert lines[3].startswith("states 0 ")
    assert lines[4].endswith("1 failed")
    assert not (store.path / "quarantine").exists()


def test_verify_moves_what_is_damaged_and_says_so(store: Store) -> None:
    assert told(store, "verify") == (0, "4 records verified, 0 damaged\n")
    arrays = store.place(CELLS, CELL) / ARRAYS
    arrays.write_bytes(arrays.read_bytes()[:-1])
    code, text = told(store, "verify")
    assert code == 1
    assert f"damaged: cells/{CELL}: {ARRAYS} does not have its size; moved to " in text
    assert "3 records verified, 1 damaged" in text
    assert told(store, "verify")[0] == 0


def test_dry_runs_write_nothing_at_all(store: Store) -> None:
    arrays = store.place(CELLS, CELL) / ARRAYS
    arrays.write_bytes(arrays.read_bytes()[:-1])
    (store.path / LOCK).unlink()
    before = {path: path.lstat().st_mtime_ns for path in (store.path, *store.path.rglob("*"))}
    code, text = told(store, "verify", "--dry-run")
    assert (code, f"damaged: cells/{CELL}: {ARRAYS} does not have its size\n" in text) == (1, True)
    assert "3 records verified, 1 damaged" in text
    code, text = told(store, "gc", "--dry-run")
    assert (code, f"would remove chains/{FIT[:8]}-0: " in text) == (0, True)
    assert {path: path.lstat().st_mtime_ns for path in (store.path, *store.path.rglob("*"))} == before


def test_gc_removes_what_nobody_needs_and_nothing_else(store: Store) -> None:
    (store.path / f"{TEMPORARY}x").mkdir()
    (store.place(FITS, FIT) / f"{TEMPORARY}draws").write_text("half")
    (store.path / FITS / OTHER).mkdir()
    (store.path / "quarantine").mkdir()
    (store.path / "quarantine" / "old").write_text("x")
    (store.place(CELLS, CELL) / ".tmpAbCdEf").write_text("what safetensors had begun to write")
    before = sorted(store.path.rglob("*"))
    code, text = told(store, "gc", "--dry-run")
    assert (code, text.splitlines()[-1].partition(",")[0]) == (0, "6 to remove")
    assert sorted(store.path.rglob("*")) == before
    code, text = told(store, "gc")
    assert (code, text.splitlines()[-1].partition(",")[0]) == (0, "6 removed")
    left = {str(path.parent.relative_to(store.path)) for path in store.path.rglob(RECORD)}
    assert left == {f"fits/{FIT}", f"chains/{OTHER}-0", f"cells/{CELL}"}
    assert not list(store.path.rglob(f"{TEMPORARY}*"))


def test_gc_keeps_the_chains_of_a_fit_that_did_not_end_well(store: Store) -> None:
    with store.held():
        store.write(FITS, OTHER, {"status": "timeout"})
        store.write(CHAINS, f"{FIT}-1", {"status": "ok"})
    assert told(store, "gc")[0] == 0
    assert list(store.keys(CHAINS)) == [f"{OTHER}-0"]


def test_gc_leaves_what_is_damaged_to_verify(store: Store) -> None:
    arrays = store.place(CELLS, CELL) / ARRAYS
    arrays.write_bytes(arrays.read_bytes()[:-1])
    for options in (["--dry-run"], []):
        assert told(store, "gc", *options)[0] == 0
        assert arrays.exists()
    assert told(store, "verify")[0] == 1


def test_info_beside_a_writer_calls_nothing_damaged(store: Store) -> None:
    """What is being written has no record yet."""
    (store.path / CELLS / OTHER).mkdir()
    text = told(store, "info")[1]
    assert f"being written, or cut short: cells/{OTHER}" in text
    assert "damaged" not in text


def test_what_is_no_record_of_ours_is_said_and_left_alone(store: Store) -> None:
    (store.path / CELLS / "notes \x1b[31m.txt").write_text("mine")
    (store.path / CELLS / "copy").mkdir()
    (store.path / CELLS / "copy" / RECORD).write_text("{}")
    assert "not of bnnbench, and left alone: cells/notes ?[31m.txt" in told(store, "info")[1]
    assert told(store, "verify") == (0, "4 records verified, 0 damaged\n")
    assert told(store, "gc")[0] == 0
    assert (store.path / CELLS / "notes \x1b[31m.txt").read_text() == "mine"
    assert (store.path / CELLS / "copy" / RECORD).exists()
    assert list(store.keys(CELLS)) == [CELL]


def test_gc_keeps_what_the_files_ask_for(store: Store) -> None:
    (store.path.parent / "benchmarks.yaml").write_text(
        "epsilons: [0.1]\ndatasets: {half-moons: }\nnetworks: {fc: }\nposteriors: {sgd: }\nattacks: {fgsm: }\n"
    )
    assert told(store, "gc", "--keep", "benchmarks.yaml")[0] == 0
    assert list(store.path.rglob(RECORD)) == []


def test_gc_says_what_a_record_is_of_and_how_long_it_took(store: Store) -> None:
    parts = {name: {"component": f"package.module:{name.title()}"} for name in ("dataset", "posterior")}
    with store.held():
        store.write(FITS, OTHER, {"status": "ok", "identity": parts, "seed": 3, "seconds": 7.84})
        store.write(CELLS, OTHER, {"status": "ok", "identity": {"attack": {"component": "\x1b[31mred"}}, "seed": 3})
    (store.path.parent / "benchmarks.yaml").write_text(
        "epsilons: [0.1]\ndatasets: {half-moons: }\nnetworks: {fc: }\nposteriors: {sgd: }\nattacks: {fgsm: }\n"
    )
    text = told(store, "gc", "--keep", "benchmarks.yaml")[1]
    assert f"removed fits/{OTHER[:8]}: Posterior, Dataset, seed 3, 7.8 s\n" in text
    assert f"removed cells/{OTHER[:8]}: ?[31mred, seed 3, 0.0 s\n" in text


def test_gc_removes_a_link_and_not_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("x")
    (store.path / "quarantine").mkdir()
    (store.path / "quarantine" / "link").symlink_to(precious)
    (store.path / CELLS / ("dd" * 32)).symlink_to(precious)
    assert told(store, "gc")[0] == 0
    assert (precious / "thesis").read_text() == "x"
    assert not (store.path / CELLS / ("dd" * 32)).is_symlink()


def test_a_store_in_use_is_not_touched(store: Store) -> None:
    with store.held():
        code, text = told(store, "gc")
    assert code == 2
    assert "is in use by process" in text


def test_no_store_is_an_error(tmp_path: Path) -> None:
    done = called("store", "verify", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "bnnbench: store: there is no such store\n")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_moved_or_removed_in_what_does_not_say_that_it_is_a_store(store: Store) -> None:
    (store.path / "store.json").unlink()
    (store.path / "quarantine").mkdir()
    (store.path / "quarantine" / "letter").write_text("mine")
    for words in (["gc"], ["gc", "--dry-run"], ["verify"]):
        code, text = told(store, *words)
        assert (code, "has no store.json, so it may be something else" in text) == (2, True)
    assert (store.path / "quarantine" / "letter").read_text() == "mine"
    assert told(store, "info")[0] == 0


def test_the_size_of_what_is_nested_without_end_is_known(tmp_path: Path) -> None:
    place = tmp_path
    for _ in range(700):
        place /= "d"
        place.mkdir()
    (place / "file").write_text("four")
    assert size_of(tmp_path) == 4
