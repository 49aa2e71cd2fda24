"""The checksum of a file follows its content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.authoring import checksum_of_file
from bnnbench.core.user_code import file_sums


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    """Two writes within the resolution of the file system's clock leave size and times as they were."""
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        os.utime(path, ns=(10**18, 10**18))
        assert checksum_of_file(path) == hashlib.sha256(content).hexdigest()


def test_an_older_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    monkeypatch.setattr(file_sums, "SETTLED", -1e9)
    first = checksum_of_file(path)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert checksum_of_file(path) == first


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(bb.DataError, match="absent cannot be read: no such file"):
        checksum_of_file(tmp_path / "absent")
    with pytest.raises(bb.DataError, match="cannot be read: is a directory"):
        checksum_of_file(tmp_path)
