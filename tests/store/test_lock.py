"""One writer at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnnbench.errors import StoreError
from bnnbench.store.store import Store

KEY = "ab" * 32


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="cannot be used as a store"), Store(folder).held():
        raise AssertionError("held through a link")
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_second_writer_is_refused_by_the_name_of_the_first(store: Store) -> None:
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()} on "), Store(store.path).held():
        raise AssertionError("held twice")


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(StoreError, match="lies on a file system without locks"), Store(tmp_path / "store").held():
        raise AssertionError("held without a lock")


@pytest.mark.integration
def test_the_lock_of_a_killed_process_is_not_stale(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from bnnbench.store.store import Store\n"
        "with Store(sys.argv[1]).held(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = tmp_path / "store"
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -9
    with Store(folder).held():
        assert (folder / ".lock").read_text().startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), StoreError("on purpose")])
def test_a_store_that_cannot_be_held_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As a reader it would otherwise move to quarantine what another process is writing."""

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("bnnbench.store.store_format.migrate", fail)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError), store.held():
        raise AssertionError("held")
    assert store.lock is None
    monkeypatch.undo()
    with store.held():
        assert store.lock is not None


def test_a_second_try_to_hold_a_store_leaves_it_held(store: Store) -> None:
    number = store.lock
    with pytest.raises(StoreError, match="in use by process"), store.held():
        raise AssertionError("held twice")
    assert store.lock == number
    assert number is not None


def test_an_error_of_what_is_done_with_a_held_store_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mine"), Store(tmp_path / "store").held():
        raise FileNotFoundError("mine")
