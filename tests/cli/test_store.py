"""`bnnbench store` and `replay`: what they refuse, and their exit codes when the reader of their output goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import called
from matrices import ONE_FIT

from bnnbench.store.store import CELLS, DRAWS, FITS, Store

KEYS = [f"{number:064x}" for number in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of forty cells."""
    store = Store(tmp_path / "store")
    with store.held():
        for key in KEYS:
            store.write(CELLS, key, {"status": "ok"})
    return store


@pytest.mark.parametrize("command", ["info", "verify", "gc"])
@pytest.mark.parametrize("made", [True, False])
def test_a_folder_that_is_no_store_is_refused(tmp_path: Path, command: str, made: bool) -> None:
    if made:
        (tmp_path / "store").mkdir()
    done = called("store", command, folder=tmp_path)
    reason = "store has no store.json, so it may be something else: a run into it would write one"
    line = f"bnnbench: {reason if made else 'store: there is no such store'}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_info_tells_of_a_store_of_the_first_format(store: Store) -> None:
    (store.path / "store.json").unlink()
    done = called("store", "info", folder=store.path.parent)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "store: format 0")


def test_gc_takes_the_limit_of_cells_of_the_run(store: Store) -> None:
    (store.path.parent / "benchmarks.yaml").write_text(ONE_FIT)
    keep = ("store", "gc", "--dry-run", "--keep", "benchmarks.yaml")
    done = called(*keep, "--max-cells", "2", folder=store.path.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "more than 2" in done.stderr
    done = called(*keep, "--max-cells", "3", folder=store.path.parent)
    assert (done.returncode, done.stdout.splitlines()[-1][:12]) == (0, "40 to remove")


def without_reader(*words: str, folder: Path) -> tuple[int, str]:
    """The exit code and the errors of a command whose output nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "bnnbench", *words]
        done = subprocess.run(command, cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.integration
def test_gc_is_not_half_done_when_its_reader_goes_away(store: Store) -> None:
    assert without_reader("store", "gc", "--keep", "benchmarks.yaml", folder=folder_of(store)) == (0, "")
    assert list(store.keys(CELLS)) == []


def folder_of(store: Store) -> Path:
    (store.path.parent / "benchmarks.yaml").write_text(ONE_FIT)
    return store.path.parent


@pytest.mark.integration
def test_damage_is_exit_1_whoever_reads(store: Store) -> None:
    with store.held():
        store.write(FITS, KEYS[0], {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws") and None})
    (store.place(FITS, KEYS[0]) / DRAWS).write_bytes(b"wards")
    for arguments in (["--dry-run"], []):
        assert without_reader("store", "verify", *arguments, folder=store.path.parent) == (1, "")


def test_replay_tells_all_its_exit_codes(tmp_path: Path) -> None:
    text = " ".join(called("replay", "--help", folder=tmp_path, columns=200).stdout.split())
    for words in ("0 all results", "1 something differs", "2 wrong input", "130 interrupted", "143 terminated"):
        assert words in text


def test_plan_and_report_tell_each_damaged_record_once(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    assert called("run", "-j", "0", folder=tmp_path).returncode == 0
    for kind in ("fits", "cells"):
        (next((tmp_path / "store" / kind).iterdir()) / "record.json").write_text("{")
    for words in (("plan", "--quick"), ("report",)):
        done = called(*words, folder=tmp_path)
        kinds = [line.split("/")[0] for line in done.stderr.splitlines()]
        assert (done.returncode, sorted(kinds)) == (0, ["damaged: cells", "damaged: fits"]), words
