"""Sets of torchvision: where their files are found, the download, the samples, and the message for each mistake.

MNIST's class is the real one, with small files; others are stand-ins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torchvision.datasets
from bnnbench_plugins.datasets.torchvision_files import LAYOUT, files_of
from data_files import pixels, write_mnist
from PIL import Image

import bnnbench as bb

needs_files = pytest.mark.skipif("BNNBENCH_DATA" not in os.environ, reason="BNNBENCH_DATA names no folder")


class Tiny:
    """A stand-in for a class of torchvision: three classes of colour images of 6x5 pixels."""

    downloads = 0
    made: ClassVar[list[Tiny]] = []

    def __init__(self, root: str, train: bool = True, transform: Any = None, download: bool = False) -> None:
        path = Path(root, "tiny", "train.npy" if train else "test.npy")
        if download:
            type(self).downloads += 1
            time.sleep(0.05)
            path.parent.mkdir(exist_ok=True)
            np.save(path, pixels(12 if train else 7, 6, 5, 3, seed=int(train)))
        if not path.is_file():
            raise RuntimeError("Dataset not found or corrupted.\nYou can use download=True to download it")
        self.images = np.load(path)
        self.targets = [number % 3 for number in range(len(self.images))]
        self.read: list[int] = []
        type(self).made.append(self)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Any:
        self.read.append(number)
        return Image.fromarray(self.images[number]), self.targets[number]


class Parts(Tiny):
    """A stand-in with `split` in the place of `train`, whose labels are only in its items."""

    def __init__(self, root: str, split: str, size: str = "full", download: bool = False) -> None:
        if split not in ("train", "val") or size not in ("full", "small"):
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are ('train', 'val').")
        super().__init__(root, split == "train", download=download)
        self.labels_of, self.targets = self.targets, []

    def __getitem__(self, number: int) -> Any:
        return Image.fromarray(self.images[number]), torch.tensor(self.labels_of[number])


class More(Parts):
    """A stand-in that passes further arguments on."""

    def __init__(self, root: str, split: str, **keywords: Any) -> None:
        super().__init__(root, split, **keywords)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloads, on a computer without files, and with the stand-ins in torchvision."""
    monkeypatch.delenv("BNNBENCH_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    for made in (Tiny, Parts, More):
        monkeypatch.setattr(made, "downloads", 0)
        monkeypatch.setattr(torchvision.datasets, made.__name__, made, raising=False)
    return tmp_path / "cache" / "bnnbench" / "data" / "torchvision"


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


def test_several_data_sets_share_a_root_and_each_has_its_own_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "one")
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "one"))
    first = bb.dataset("torchvision", name="MNIST").identity()
    write_mnist(tmp_path / "one", folder="FashionMNIST")
    (tmp_path / "one" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"an archive")
    (tmp_path / "one" / "MNIST" / "raw" / ".hidden-ubyte").write_bytes(b"hidden")
    assert bb.dataset("torchvision", name="MNIST").identity() == first
    shutil.copytree(tmp_path / "one", tmp_path / "two" / "MNIST")
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "two"))
    assert bb.dataset("torchvision", name="MNIST").identity() == first
    write_mnist(tmp_path / "two" / "MNIST", train=13)
    assert bb.dataset("torchvision", name="MNIST").identity() != first


def test_the_fingerprint_loads_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", None)
    assert len(bb.dataset("torchvision", name="MNIST").fingerprint()) == 64


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


def test_files_are_downloaded_once_and_their_content_is_the_identity(cache: Path) -> None:
    first = bb.dataset("torchvision", name="Tiny")
    identity = first.identity()
    assert Tiny.downloads == 2  # the training and the test part
    assert bb.dataset("torchvision", name="Tiny", train_size=3).load(0).classes == 3
    assert bb.dataset("torchvision", name="Tiny").identity() == identity
    assert Tiny.downloads == 2
    assert sorted(path.name for path in cache.iterdir()) == ["Tiny", "Tiny.lock"]
    np.save(cache / "Tiny" / "tiny" / "test.npy", pixels(7, 6, 5, 3, seed=5))
    assert bb.dataset("torchvision", name="Tiny").identity() != identity


def test_whoever_waits_for_a_download_finds_it_done(cache: Path) -> None:
    loaded: list[bb.Data] = []
    threads = [
        threading.Thread(target=lambda: loaded.append(bb.dataset("torchvision", name="Tiny").load(0))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert Tiny.downloads == 2


PROCESS = """
import sys, time, types
from pathlib import Path
import bnnbench as bb

class Tiny:
    def __init__(self, root, train=True, download=False):
        if not download:
            raise RuntimeError("not found")
        Path(root, "file").write_text("content")
        with open(sys.argv[1], "a") as log:
            log.write("downloaded\\n")
        time.sleep(0.5)

sys.modules["torchvision"] = types.ModuleType("torchvision")
sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"] = types.SimpleNamespace(Tiny=Tiny)
print(bb.dataset("torchvision", name="Tiny").fingerprint())
"""


@pytest.mark.integration
def test_two_processes_download_once(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("BNNBENCH_DATA", None)
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "log")]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in running)
    assert first == second != ""
    assert (tmp_path / "log").read_text().splitlines() == ["downloaded"] * 2  # the training and the test part


def test_a_download_that_was_killed_or_fails_leaves_nothing_that_counts(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / ".Tiny-killed" / "tiny").mkdir(parents=True)
    (cache / ".Tiny.abc-running").mkdir()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", fail)
        with pytest.raises(
            bb.DataError, match=r"Tiny could not be downloaded .*no route to host.*BNNBENCH_DATA=FOLDER"
        ):
            bb.dataset("torchvision", name="Tiny").identity()
    assert sorted(path.name for path in cache.iterdir()) == [".Tiny.abc-running", "Tiny.lock"]
    assert len(bb.dataset("torchvision", name="Tiny").load(0).train[1]) == 12


def test_a_class_that_is_not_known_has_a_folder_of_its_own(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for train in (True, False):
        (tmp_path / "given" / "Tiny").mkdir(parents=True, exist_ok=True)
        Tiny(str(tmp_path / "given" / "Tiny"), train, download=True)
    monkeypatch.setattr(Tiny, "downloads", 0)
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "given"))
    assert len(bb.dataset("torchvision", name="Tiny").load(0).train[1]) == 12
    assert Tiny.downloads == 0
    # Files that are not in the given folder are downloaded to the cache.
    assert len(bb.dataset("torchvision", name="Parts", test_split="val").load(0).train[1]) == 12
    assert list(cache.glob("Parts.*"))


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


def test_every_layout_that_is_known_matches_the_files_that_it_names(tmp_path: Path) -> None:
    for name, patterns in LAYOUT.items():
        assert isinstance(getattr(torchvision.datasets, name), type)
        for pattern in patterns:
            path = tmp_path / name / pattern.replace("**/*", "deep/er").replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("data")
        (tmp_path / name / "other.tgz").write_text("of another data set")
        assert len(files_of(name, tmp_path / name)) == len(patterns)


def test_where_torchvision_lays_out_files_otherwise_all_of_them_count(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("data")
    assert files_of("CIFAR10", tmp_path) == [tmp_path / "elsewhere"]


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


def test_packed_files_are_named(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, folder="KMNIST")
    for path in (tmp_path / "KMNIST" / "raw").iterdir():
        path.rename(f"{path}.gz")

    def refused(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets.KMNIST, "download", refused)
    with pytest.raises(bb.DataError, match=r"KMNIST is not in .*, but .*KMNIST/raw/t10k\S*-ubyte\.gz is: unpack it$"):
        bb.dataset("torchvision", name="KMNIST").identity()
    assert not (cache / "KMNIST").exists()


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
