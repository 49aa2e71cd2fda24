"""The image classification sets of torchvision."""

from __future__ import annotations

import inspect
import json
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import JsonValue, field_validator, model_validator

from bnnbench import Data, DataError
from bnnbench.authoring import test_sample, training_sample
from bnnbench_plugins.datasets.images import SampledImages
from bnnbench_plugins.datasets.names import hint
from bnnbench_plugins.datasets.torchvision_files import LAYOUT, downloaded, files_of, located

if TYPE_CHECKING:
    from PIL.Image import Image

OURS = ("root", "train", "download", "transform", "target_transform")
"""Arguments of torchvision's classes that `arguments` must not contain."""


class Torchvision(SampledImages):
    """An image classification set of torchvision, by the name of its class: `{use: torchvision, name: CIFAR10}`.

    The constructor of the class takes `root`, `download`, and `train` or `split`. The files are looked for below
    `$BNNBENCH_DATA`, as torchvision lays them out below its root. Otherwise torchvision downloads them once, to the
    user's cache. A class that is not known here has its files below `$BNNBENCH_DATA/<name>`. Inputs have shape
    (channels, height, width), in [0, 1]; a greyscale image has one channel. Only the images of the two samples are
    read, or all if the class lists no labels. `DataError` is raised if files are absent and cannot be downloaded, if
    the class refuses them, or if images differ in size or channels.
    """

    revision: ClassVar[int | None] = 1

    name: str = ""
    """Name of the class in `torchvision.datasets`, such as CIFAR10."""
    train_split: str = "train"
    """The split of the training images, for a class that takes `split` and not `train`."""
    test_split: str = "test"
    """The split of the test images, for a class that takes `split` and not `train`."""
    arguments: dict[str, JsonValue] = {}
    """Further arguments of the class, such as {split: letters} for EMNIST."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not name.isidentifier():
            close = hint("".join(filter(str.isalnum, name)), LAYOUT)
            raise ValueError(f"'{name}' is no name of a class of torchvision.datasets{close}")
        return name

    @model_validator(mode="after")
    def _arguments_are_others(self) -> Self:
        ours = [name for name in OURS if name in self.arguments]
        if ours:
            raise ValueError(f"arguments cannot contain {', '.join(ours)}, which the data set gives itself")
        if self.train_split == self.test_split:
            raise ValueError(f"train_split and test_split are both '{self.train_split}'")
        return self

    def fingerprint(self) -> str:
        """The sha256 of the names and contents of the files, which are downloaded if they are absent."""
        from bnnbench_plugins.datasets.checksums import checksum_of_files

        root = self._root()
        return checksum_of_files(root, files_of(self.name, root))

    def load(self, seed: int) -> Data:
        import numpy as np

        from bnnbench_plugins.datasets.images import stacked

        root = self._root()
        train, test = (self._made(root, part) for part in self._parts())
        numbers, others = np.arange(len(train)), np.arange(len(test))
        chosen, _ = training_sample(numbers, numbers, self.train_size, seed)
        tested, _ = test_sample(others, others, self.test_size)
        images = [("training", train, int(number)) for number in chosen]
        images += [("test", test, int(number)) for number in tested]
        labels: list[int] = []

        def opened(position: int) -> Image:
            image, label = _item(images[position][1], images[position][2])
            labels.append(label)
            return image

        def name(position: int) -> str:
            return f"{self.name}: {images[position][0]} image {images[position][2]}"

        x, y = stacked(len(images), opened, name, self.image_size, self.channels), np.array(labels, np.int64)
        size = len(chosen)
        return Data(train=(x[:size], y[:size]), test=(x[size:], y[size:]), classes=_classes(train, test))

    def _root(self) -> Path:
        """The root of the files, which are downloaded if they are absent."""
        if not self.name:
            raise DataError("torchvision needs a name: a class of torchvision.datasets, such as CIFAR10")
        found = located(self.name, self._variant())
        if found is not None:
            return found
        made, parts = _class_named(self.name), self._parts()

        def download(root: Path) -> None:
            for part in parts:
                self._refuse_arguments(root, part)
            for part in parts:
                made(root=str(root), download=True, **part)

        return downloaded(self.name, self._variant(), download)

    def _variant(self) -> str:
        """What the files depend on beside the name; empty for the defaults."""
        splits, arguments = (self.train_split, self.test_split), self.arguments
        return json.dumps([splits, arguments], sort_keys=True) if arguments or splits != ("train", "test") else ""

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of the class for the training and for the test images, without `root` and `download`."""
        taken = _arguments_of(_class_named(self.name))
        lacks = [name for name in ("root", "download") if name not in taken]
        if not {"train", "split"} & taken:
            lacks.append("train or split")
        if lacks:
            raise DataError(f"torchvision's {self.name} cannot be used: its class takes no {' and no '.join(lacks)}")
        if "train" in taken:
            return self.arguments | {"train": True}, self.arguments | {"train": False}
        return self.arguments | {"split": self.train_split}, self.arguments | {"split": self.test_split}

    def _refuse_arguments(self, root: Path, part: dict[str, Any]) -> None:
        """Raise `DataError` for arguments that the class refuses, before anything is downloaded to the empty root."""
        try:
            _class_named(self.name)(root=str(root), download=False, **part)
        except (TypeError, ValueError) as error:
            raise self._refused(root, part, error) from error
        except Exception:  # noqa: BLE001 - there are no files yet, which each class says in its own way
            return

    def _made(self, root: Path, part: dict[str, Any]) -> Any:
        """A set of torchvision. Raises `DataError` if its class refuses the files or the arguments."""
        try:
            return _class_named(self.name)(root=str(root), download=False, **part)
        except Exception as error:  # torchvision's classes raise errors of any class
            raise self._refused(root, part, error) from error

    def _refused(self, root: Path, part: dict[str, Any], error: Exception) -> DataError:
        given = ", ".join(f"{name}={value!r}" for name, value in part.items())
        told = " ".join(str(error).split()) or type(error).__name__
        named = "; train_split and test_split name the splits" if "split" in part and "train" not in part else ""
        return DataError(f"torchvision's {self.name}({given}) cannot be made from {root}: {told}{named}")


def _class_named(name: str) -> Any:
    """A class of `torchvision.datasets`. Raises `DataError` if there is none of that name."""
    import torchvision.datasets

    found = getattr(torchvision.datasets, name, None)
    if isinstance(found, type):
        return found
    raise DataError(f"torchvision has no data set '{name}'{hint(name, torchvision.datasets.__all__)}")


def _arguments_of(made: type) -> set[str]:
    """The names of a constructor's arguments, and of its parents' as far as it passes on any keyword."""
    names: set[str] = set()
    for cls in inspect.getmro(made):
        if "__init__" in vars(cls):
            parameters = inspect.signature(vars(cls)["__init__"]).parameters
            names |= set(parameters)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return names


def _item(images: Any, number: int) -> tuple[Image, int]:
    """An image of a set of torchvision and its label. Raises `DataError` if it is something else."""
    from PIL.Image import Image

    item = images[number]
    if not isinstance(item, tuple | list) or len(item) != 2 or not isinstance(item[0], Image):
        raise DataError("is no image with a label: the set is not for image classification")
    return item[0], _label(item[1])


def _label(label: Any) -> int:
    try:
        return operator.index(label)
    except TypeError:
        kind = type(label).__name__
        raise DataError(f"has a label of type {kind}, not the number of a class") from None


def _classes(*sets: Any) -> int:
    """The number of classes: of the names that a set gives its classes, or by the largest label of all images."""
    names = getattr(sets[0], "classes", None)
    if isinstance(names, list | tuple) and len(names) > 1:
        return len(names)
    return 1 + max(max(_labels(images)) for images in sets)


def _labels(images: Any) -> Iterable[int]:
    """All labels of a set of torchvision, from the list that most sets have, or else image by image."""
    for name in ("targets", "labels", "_labels", "samples", "_samples"):
        listed = getattr(images, name, None)
        if listed is not None and len(listed) == len(images):
            return [_label(entry[1] if "samples" in name else entry) for entry in listed]
    return [_label(images[number][1]) for number in range(len(images))]
