"""Files of MNIST that are packed, absent or damaged, and their download by several processes at once."""

from __future__ import annotations

import errno
import gzip
import hashlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from bnnbench_plugins.datasets import downloads, idx
from bnnbench_plugins.datasets.idx import find_files, read_idx

import bnnbench as bb

IMAGES = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
CONTENT = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in IMAGES.shape) + IMAGES.tobytes()
FILES = {name: hashlib.md5(CONTENT).hexdigest() for name in ("images", "labels")}


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files below `$BNNBENCH_DATA`, which is empty."""
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    return folder


class Mirror:
    """Takes the place of torchvision's class: downloads slowly, and counts its downloads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.roots: list[Path] = []
        self.content = CONTENT
        self.error: Exception | None = None
        monkeypatch.setattr("torchvision.datasets.MNIST", self)

    def __call__(self, root: str, download: bool) -> None:
        self.roots.append(Path(root))
        folder = Path(root, "MNIST", "raw")
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / f"{name}.gz").write_bytes(gzip.compress(self.content))
            time.sleep(0.02)
            if self.error:
                raise self.error
            (folder / name).write_bytes(self.content)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The mirror of a user whose cache is empty."""
    monkeypatch.delenv("BNNBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Mirror(monkeypatch)


def test_packed_files_are_read_and_verified(raw: Path) -> None:
    (raw / "images.gz").write_bytes(gzip.compress(CONTENT))
    (raw / "labels").write_bytes(CONTENT)
    files = find_files("MNIST", FILES)
    assert [path.name for path in files.values()] == ["images.gz", "labels"]
    assert all(np.array_equal(read_idx(path), IMAGES) for path in files.values())
    (raw / "images.gz").write_bytes(gzip.compress(CONTENT + b"x"))
    with pytest.raises(bb.DataError, match=r"images\.gz is damaged or another file: its md5 is"):
        find_files("MNIST", FILES)


def test_of_a_packed_and_an_unpacked_file_the_unpacked_one_is_read(raw: Path) -> None:
    for name in FILES:
        (raw / name).write_bytes(CONTENT)
        (raw / f"{name}.gz").write_bytes(b"something else")
    assert [path.name for path in find_files("MNIST", FILES).values()] == ["images", "labels"]


def test_a_file_that_was_unpacked_and_kept_its_name_is_read(raw: Path) -> None:
    """As browsers leave it."""
    for name in FILES:
        (raw / f"{name}.gz").write_bytes(CONTENT)
    assert np.array_equal(read_idx(find_files("MNIST", FILES)["images"]), IMAGES)


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: packed[:12] + b"\xff" * 9, lambda _: b""]
)
def test_a_packed_file_that_is_damaged_is_named(raw: Path, damage: object) -> None:
    for name in FILES:
        (raw / f"{name}.gz").write_bytes(gzip.compress(CONTENT))
    (raw / "labels.gz").write_bytes(damage(gzip.compress(CONTENT)))  # type: ignore[operator]
    with pytest.raises(bb.DataError, match=r"raw/labels\.gz is damaged"):
        find_files("MNIST", FILES)


def test_a_file_that_cannot_be_read_is_named(raw: Path) -> None:
    for name in FILES:
        (raw / name).write_bytes(CONTENT)
    (raw / "labels").unlink()
    (raw / "labels").symlink_to("labels")
    with pytest.raises(bb.DataError, match=r"raw/labels is not there"):
        find_files("MNIST", FILES)


def test_many_that_need_the_files_download_them_once(mirror: Mirror, tmp_path: Path) -> None:
    found: list[dict[str, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(find_files("MNIST", FILES))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mirror.roots) == 1
    assert len(found) == 6
    assert all(path.read_bytes() == CONTENT for files in found for path in files.values())
    # Nothing but the files and the lock is left.
    assert {path.name for path in (tmp_path / "bnnbench" / "data").iterdir()} == {"MNIST", "MNIST.lock"}


def test_a_damaged_file_of_the_cache_is_downloaded_again(mirror: Mirror) -> None:
    path = find_files("MNIST", FILES)["labels"]
    path.write_bytes(CONTENT[:-1])
    assert find_files("MNIST", FILES)["labels"].read_bytes() == CONTENT
    assert len(mirror.roots) == 2


def test_a_download_that_fails_leaves_nothing_and_is_tried_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.error = EOFError("cut short")
    with pytest.raises(bb.DataError, match=r"could not be downloaded \(cut short\); without a network, put"):
        find_files("MNIST", FILES)
    mirror.error, mirror.content = None, CONTENT + b"x"
    with pytest.raises(bb.DataError, match=r"could not be downloaded \(.*images is damaged or another file"):
        find_files("MNIST", FILES)
    assert [path.name for path in (tmp_path / "bnnbench" / "data").iterdir()] == ["MNIST.lock"]
    mirror.content = CONTENT
    assert find_files("MNIST", FILES)["labels"].read_bytes() == CONTENT


def test_what_a_killed_process_left_is_removed(mirror: Mirror, tmp_path: Path) -> None:
    left = tmp_path / "bnnbench" / "data" / ".MNIST-left"
    (left / "MNIST").mkdir(parents=True)
    find_files("MNIST", FILES)
    assert not left.exists()


def test_a_file_system_without_locks_will_do(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(downloads.fcntl, "flock", refuse)
    assert find_files("MNIST", FILES)["labels"].read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_to_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "bnnbench").write_bytes(b"")
    with pytest.raises(bb.DataError, match=r"bnnbench/data cannot be written to \(not a directory\); put torchvision"):
        find_files("MNIST", FILES)
    assert mirror.roots == []


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BNNBENCH_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
    with pytest.raises(bb.DataError, match="HOME is not set"):
        idx.find_files("MNIST", FILES)
