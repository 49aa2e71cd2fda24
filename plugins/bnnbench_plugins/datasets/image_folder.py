"""Images in a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, DataError, InputPath
from bnnbench.authoring import split, test_sample, training_sample
from bnnbench_plugins.datasets.images import SampledImages
from bnnbench_plugins.datasets.names import listed

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Endings of the names of image files, in small letters. Other files are left alone."""


class ImageFolder(SampledImages):
    """Images in a folder for each class: `path/train/CLASS/*.png` and `path/test/CLASS/*.png`, or `path/CLASS/*.png`.

    `train_folder` and `test_folder` are other names of the two folders, such as `val`. In the second layout
    `test_fraction` of the images are test images, by one fixed shuffle. The classes are the names of the folders,
    sorted. Images may lie deeper inside of a class's folder, and be of any format that PIL reads (.png, .jpg, .bmp,
    .gif, .pgm, .ppm, .tif, .webp). Links are followed. Hidden files and files with other endings are left alone. Inputs
    have shape (channels, height, width), in [0, 1]; a greyscale image has one channel. Only the images of the two
    samples are read. `DataError` is raised if the folders are not laid out so, a class has no images, an image cannot
    be read, or images differ in size or channels.
    """

    revision: ClassVar[int | None] = 1
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path", "train_folder", "test_folder"})

    path: InputPath = ""
    """Path of the folder."""
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of the images that are test images, for a folder without `train` and `test`."""
    train_folder: str = Field(default="train", min_length=1)
    """Name of the folder of the training images."""
    test_folder: str = Field(default="test", min_length=1)
    """Name of the folder of the test images."""

    @model_validator(mode="after")
    def _two_folders(self) -> Self:
        if self.train_folder == self.test_folder:
            raise ValueError(f"train_folder and test_folder are both '{self.train_folder}'")
        return self

    def fingerprint(self) -> str:
        """The sha256 of the names and contents of the images, and the names of the folders if they are others.

        Raises `DataError` if the folders are not as needed.
        """
        from bnnbench_plugins.datasets.checksums import checksum_of_files

        checksum = checksum_of_files(Path(self.path), [path for part in self._files() for path, _ in part])
        folders = self.train_folder, self.test_folder
        return checksum if folders == ("train", "test") else f"{checksum} {folders}"

    def load(self, seed: int) -> Data:
        import numpy as np

        from bnnbench_plugins.datasets.images import stacked

        found, others = self._files()
        files = [*found, *others]
        numbers, labels = np.arange(len(files)), np.array([label for _, label in files])
        train = numbers[: len(found)], labels[: len(found)]
        test = numbers[len(found) :], labels[len(found) :]
        if self.test_fraction is not None:
            if not 0 < round(self.test_fraction * len(files)) < len(files):
                raise DataError(
                    f"{self.path}: test_fraction {self.test_fraction} of {len(files)} images leaves no split"
                )
            train, test = split(*train, self.test_fraction)
        train, test = training_sample(*train, self.train_size, seed), test_sample(*test, self.test_size)
        chosen = [files[number][0] for number in (*train[0], *test[0])]
        x = stacked(
            len(chosen),
            lambda position: _opened(chosen[position]),
            lambda position: str(chosen[position]),
            self.image_size,
            self.channels,
        )
        size = len(train[1])
        return Data(train=(x[:size], train[1]), test=(x[size:], test[1]), classes=1 + max(label for _, label in found))

    def _files(self) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
        """The images with their labels: of the folders `train` and `test`, or all and none for one folder of classes.

        Raises `DataError` if the folders are not laid out as they must be, or cannot be read.
        """
        if not self.path:
            raise DataError("image-folder needs a path: a folder with a folder of images for each class")
        try:
            return self._listed(Path(self.path))
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}") from error

    def _listed(self, folder: Path) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
        if not folder.is_dir():
            raise DataError(f"{self.path}: {'not a folder' if folder.exists() else 'no such folder'}")
        train, test = folder / self.train_folder, folder / self.test_folder
        parted = any(path.is_dir() and any(_folders(path)) for path in (train, test))
        if self.test_fraction is not None:
            if parted:
                raise DataError(
                    f"{self.path} has a folder {train.name} or {test.name} of classes: leave test_fraction out"
                )
            return _images(folder, _names(folder)), []
        for path, parameter in ((train, "train_folder"), (test, "test_folder")):
            if not path.is_dir():
                others = listed([other.name for other in _folders(folder)]) or "none"
                raise DataError(
                    f"{self.path} has no folder '{path.name}'; give test_fraction if its folders are the classes, or "
                    f"{parameter} if it has another name (folders: {others})"
                )
        names = _names(train)
        tested = [path.name for path in _folders(test)]
        if not tested:
            raise DataError(f"{test} has no folders of classes")
        unknown = [name for name in tested if name not in names]
        if unknown:
            raise DataError(f"{test} has the class '{unknown[0]}', which {train} has not")
        return _images(train, names), _images(test, tested, names)


def _names(folder: Path) -> list[str]:
    """The sorted names of the classes of a folder. Raises `DataError` if there are fewer than two."""
    names = [path.name for path in _folders(folder)]
    if len(names) < 2:
        held = f"one class alone, '{names[0]}'" if names else "no folders of classes"
        raise DataError(f"{folder} has {held}; at least two are needed")
    return names


def _folders(folder: Path) -> list[Path]:
    """The folders inside of a folder, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or is the one that the archives of macOS hold beside the files."""
    return name.startswith(".") or name == "__MACOSX"


def _images(folder: Path, names: list[str], classes: list[str] | None = None) -> list[tuple[Path, int]]:
    """The images of classes with their labels, in the order of names. Raises `DataError` if a class has none."""
    labels = {name: label for label, name in enumerate(classes or names)}
    found = []
    for name in names:
        files = sorted(_walked(folder / name), key=lambda path: path.as_posix())
        if not files:
            raise DataError(f"{folder / name} has no images ({', '.join(ENDINGS)})")
        found += [(path, labels[name]) for path in files]
    return found


def _walked(folder: Path) -> Iterator[Path]:
    """The image files of a folder and of the folders inside of it."""

    def refuse(error: OSError) -> None:
        raise error

    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name) and not _leads_back(where, name)]
        for name in files:
            if name.lower().endswith(ENDINGS) and not _is_hidden(name):
                yield Path(where, name)


def _leads_back(where: str, name: str) -> bool:
    """Whether a folder is a link to one that it lies in."""
    return Path(os.path.realpath(where)).is_relative_to(os.path.realpath(Path(where, name)))


def _opened(path: Path) -> Image:
    """An image with its pixels in memory and its file closed."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
    return image
