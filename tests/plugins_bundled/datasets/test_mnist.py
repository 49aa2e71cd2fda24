"""The real MNIST files: their content, and the errors for absent and damaged ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from bnnbench_plugins.datasets.idx import read_idx
from bnnbench_plugins.datasets.mnist import Mnist

import bnnbench as bb

needs_files = pytest.mark.skipif("BNNBENCH_DATA" not in os.environ, reason="BNNBENCH_DATA names no folder")


@needs_files
@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "mean", "first"),
    [("mnist", 0.1307, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]), ("fashion-mnist", 0.2860, [9, 0, 0, 3, 0, 2, 7, 2, 5, 5])],
)
def test_the_real_files_hold_what_is_published(name: str, mean: float, first: list[int]) -> None:
    """The mean pixel that everybody normalises by, the counts, and the first labels of the official order."""
    data = bb.dataset(name).load(0)
    assert data.train[0].shape == (60_000, 1, 28, 28)
    assert data.test[0].shape == (10_000, 1, 28, 28)
    assert data.train[0].mean().item() == pytest.approx(mean, abs=5e-5)
    assert data.train[1][:10].tolist() == first
    if name == "mnist":
        assert data.test[1].bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def test_idx_files_are_read_and_damaged_ones_refused(tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    path = tmp_path / "file"
    path.write_bytes(idx(array))
    assert np.array_equal(read_idx(path), array)
    for content in (b"", b"\x00\x00\x09\x01\x00\x00\x00\x00", idx(array)[:-1], idx(array) + b"x", idx(array)[:9]):
        path.write_bytes(content)
        with pytest.raises(bb.DataError):
            read_idx(path)


def test_a_wrong_file_is_named_with_its_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in Mnist.md5:
        (raw / name).write_bytes(idx(np.zeros((2, 28, 28))))
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    with pytest.raises(bb.DataError, match=r"train-images-idx3-ubyte is damaged .* not 6bbc9ace"):
        bb.dataset("mnist").load(0)


def test_an_absent_file_in_a_given_folder_is_no_reason_to_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    with pytest.raises(bb.DataError, match=r"train-images-idx3-ubyte is not there; BNNBENCH_DATA must name"):
        bb.dataset("mnist").load(0)


def test_offline_without_files_one_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no route to host")

    monkeypatch.delenv("BNNBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", refuse)
    with pytest.raises(bb.DataError, match=r"no route to host.*set BNNBENCH_DATA=FOLDER"):
        bb.dataset("fashion-mnist").load(0)


def test_half_a_download_is_damaged_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images", "t10k-images"):
        (raw / f"{name}-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03" + struct.pack(">3I", 60000, 28, 28))
    for name in ("train-labels", "t10k-labels"):
        (raw / f"{name}-idx1-ubyte").write_bytes(b"\x00\x00\x08\x01" + struct.pack(">I", 60000))
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    with pytest.raises(bb.DataError, match="is damaged or another file"):
        bb.dataset("mnist").load(seed=0)
