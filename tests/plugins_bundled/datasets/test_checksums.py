"""Checksums of files follow their content and their names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from bnnbench_plugins.datasets import checksums
from bnnbench_plugins.datasets.checksums import checksum_of_file, checksum_of_files

import bnnbench as bb


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
    monkeypatch.setattr(checksums, "SETTLED", -1e9)
    first = checksum_of_file(path)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert checksum_of_file(path) == first


def test_names_and_contents_count_and_the_folder_and_order_do_not(tmp_path: Path) -> None:
    def written(folder: str, **contents: str) -> str:
        files = []
        for name, content in contents.items():
            files.append(tmp_path / folder / name)
            files[-1].parent.mkdir(exist_ok=True)
            files[-1].write_text(content)
        return checksum_of_files(tmp_path / folder, files)

    first = written("first", a="1", b="2")
    assert written("second", b="2", a="1") == first
    assert len({first, written("third", a="1", c="2"), written("fourth", a="1", b="3"), written("fifth", a="1")}) == 4


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(bb.DataError, match="absent cannot be read: no such file"):
        checksum_of_file(tmp_path / "absent")
    with pytest.raises(bb.DataError, match="cannot be read: is a directory"):
        checksum_of_file(tmp_path)
