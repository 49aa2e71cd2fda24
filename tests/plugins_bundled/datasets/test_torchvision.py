"""Sets of torchvision: their samples, and the message for each mistake.

MNIST's class is the real one, with small files; others are stand-ins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_files import write_mnist
from PIL import Image
from torchvision_stand_ins import Parts, Tiny

import bnnbench as bb

needs_files = pytest.mark.skipif("BNNBENCH_DATA" not in os.environ, reason="BNNBENCH_DATA names no folder")


def test_mnist_is_what_the_data_set_mnist_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = write_mnist(tmp_path)
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    data = bb.dataset("torchvision", name="MNIST").load(0)
    assert data.classes == 10
    assert np.array_equal(data.train[0], np.float32(arrays["train-images-idx3-ubyte"] / 255)[:, None])
    assert data.test[1].tolist() == [0, 1, 2, 3, 4, 5]


@needs_files
@pytest.mark.integration
def test_the_real_mnist_has_the_samples_of_the_data_set_mnist() -> None:
    found, expected = (
        bb.dataset(name, **parameters, train_size=200, test_size=100).load(4)
        for name, parameters in (("torchvision", {"name": "MNIST"}), ("mnist", {}))
    )
    for part in ("train", "test"):
        for one, other in zip(getattr(found, part), getattr(expected, part), strict=True):
            assert torch.equal(one, other)


@pytest.mark.usefixtures("cache")
def test_samples_follow_the_seed_and_only_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = bb.dataset("torchvision", name="Tiny", train_size=5, test_size=4)
    dataset.identity()
    made: list[Tiny] = []
    monkeypatch.setattr(Tiny, "made", made)
    first, other = dataset.load(0), dataset.load(1)
    assert [len(images.read) for images in made] == [5, 4, 5, 4]
    assert torch.equal(first.test[0], other.test[0])
    assert not torch.equal(first.train[0], other.train[0])
    assert first.shape == (3, 6, 5)
    assert first.classes == 3
    read = made[0].read
    assert first.train[1].tolist() == [number % 3 for number in read]
    assert np.array_equal(first.train[0], np.float32(made[0].images[read] / 255).transpose(0, 3, 1, 2))
    with pytest.raises(bb.DataError, match="train_size is 50, but there are 12 points"):
        bb.dataset("torchvision", name="Tiny", train_size=50).load(0)


@pytest.mark.usefixtures("cache")
def test_splits_by_name_and_further_arguments() -> None:
    data = bb.dataset("torchvision", name="Parts", test_split="val").load(0)
    assert data.classes == 3
    assert data.test[1].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert bb.dataset("torchvision", name="More", test_split="val", arguments={"size": "small"}).load(0).classes == 3
    downloads = Parts.downloads
    bb.dataset("torchvision", name="Parts", test_split="val", arguments={"size": "small"}).load(0)
    assert Parts.downloads == downloads + 2  # other arguments may need other files


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("listed", ["targets", "labels", "_labels", "_samples", "none"])
def test_classes_are_counted_over_all_images_wherever_the_labels_are(
    listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Tiny.__init__

    def made(self: Any, root: str, train: bool = True, download: bool = False) -> None:
        start(self, root, train, download=download)
        labels = torch.tensor([*self.targets[:-1], 8])
        self.labels_of, self.targets = labels, []
        setattr(self, listed, [("path", int(label)) for label in labels] if listed == "_samples" else labels)

    monkeypatch.setattr(Tiny, "__init__", made)
    monkeypatch.setattr(
        Tiny, "__getitem__", lambda self, number: (Image.fromarray(self.images[number]), self.labels_of[number])
    )
    dataset = bb.dataset("torchvision", name="Tiny", train_size=2, test_size=2)
    assert [dataset.load(seed).classes for seed in range(3)] == [9, 9, 9]


@pytest.mark.usefixtures("cache")
def test_images_are_resized_and_converted() -> None:
    assert bb.dataset("torchvision", name="Tiny", image_size=[4, 3], channels=1).load(0).shape == (1, 4, 3)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "torchvision needs a name"),
        ({"name": "cifar10"}, "torchvision has no data set 'cifar10'; did you mean 'CIFAR10'?"),
        ({"name": "folder"}, "torchvision has no data set 'folder'"),
        ({"name": "FER2013"}, "torchvision's FER2013 cannot be used: its class takes no download"),
        ({"name": "ImageFolder"}, "its class takes no download and no train or split"),
        ({"name": "Parts"}, r"Parts\(split='test'\) cannot be made .* 'test' .*; train_split and test_split name"),
        ({"name": "Tiny", "arguments": {"size": 3}}, "unexpected keyword argument 'size'"),
    ],
)
def test_what_cannot_be_loaded_is_told_on_one_line(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(bb.DataError, match=message) as told:
        bb.dataset("torchvision", **parameters).identity()
    assert Parts.downloads == Tiny.downloads == 0
    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((Image.new("L", (5, 6)), {"boxes": []}), "Tiny: training image 0 has a label of type dict"),
        ((Image.new("L", (5, 6)), torch.zeros(40)), "training image 0 has a label of type Tensor"),
        ((torch.zeros(3, 6, 5), 1), "training image 0 is no image with a label"),
        (torch.zeros(3, 6, 5), "training image 0 is no image with a label"),
    ],
)
def test_what_is_no_classification_of_images_is_told(item: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tiny, "__getitem__", lambda *_: item)
    with pytest.raises(bb.DataError, match=message):
        bb.dataset("torchvision", name="Tiny").load(0)


def test_files_that_the_class_refuses_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    with pytest.raises(bb.DataError, match=r"MNIST\(train=True\) cannot be made from .*: Dataset not found"):
        bb.dataset("torchvision", name="MNIST").load(0)


def test_a_name_that_is_none_is_told_with_the_close_one() -> None:
    with pytest.raises(bb.ParameterError, match=r"'cifar-10' is no name of a class .*; did you mean 'CIFAR10'\?"):
        bb.dataset("torchvision", name="cifar-10")


def test_absurd_parameters_are_refused_at_once() -> None:
    for parameters in (
        {"name": "../MNIST"},
        {"name": "MNIST", "arguments": {"root": "/"}},
        {"name": "MNIST", "test_split": "train"},
        {"name": "MNIST", "image_size": 0},
        {"name": "MNIST", "channels": 4},
    ):
        with pytest.raises(ValueError):
            bb.dataset("torchvision", **parameters)  # type: ignore[arg-type]
