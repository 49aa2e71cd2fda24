"""Data sets, and the data that they load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.component import Component
from bnnbench.core.local_modules import name_in_messages
from bnnbench.errors import InvalidData

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Data:
    """A training and a test sample of inputs with their labels.

    Args:
        train: a pair `(x, y)` of inputs (N, *shape) and labels (N,), as tensors or arrays. Inputs are converted to
            float32, labels to int64.
        test: the same for the test sample, with the same shape of inputs.
        bounds: the box: the smallest and the largest value that an input may have.
        classes: the number of classes, at least 2; labels are 0 to classes - 1. By default one more than the largest
            label.

    Raises `InvalidData` if inputs are not finite or outside the box, labels are not integers or not below `classes`, or
    shapes do not fit.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    bounds: tuple[float, float] = (0.0, 1.0)
    classes: int = 0

    def __post_init__(self) -> None:
        low, high = (float(bound) for bound in self.bounds)
        if not low < high:
            raise InvalidData(f"bounds {self.bounds} are not an interval")
        object.__setattr__(self, "bounds", (low, high))
        for name in ("train", "test"):
            object.__setattr__(self, name, _checked(name, getattr(self, name), low, high))
        if self.train[0].shape[1:] != self.test[0].shape[1:]:
            raise InvalidData(
                f"training inputs have shape {tuple(self.train[0].shape[1:])}, "
                f"test inputs {tuple(self.test[0].shape[1:])}"
            )
        largest = int(max(self.train[1].max(), self.test[1].max()))
        classes = self.classes or largest + 1
        if largest >= classes:
            raise InvalidData(f"label {largest} with {classes} classes")
        if classes < 2:
            raise InvalidData("fewer than two classes")
        object.__setattr__(self, "classes", classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train[0].shape[1:])


def checksum(data: Data) -> str:
    """The sha256 of all inputs and labels, the bounds, the classes and the shape, in hexadecimal."""
    return _checksum_of(data, *data.train, *data.test)


def checksum_of_test(data: Data) -> str:
    """The sha256 of the test inputs and labels, the bounds, the classes and the shape, in hexadecimal."""
    return _checksum_of(data, *data.test)


def _checksum_of(data: Data, *tensors: Tensor) -> str:
    import hashlib

    import torch

    digest = hashlib.sha256(repr((data.bounds, data.classes, data.shape)).encode())
    for tensor in tensors:
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _checked(name: str, pair: Any, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The inputs and labels of a sample as tensors. Raises `InvalidData` if they are not valid."""
    import torch

    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InvalidData(f"{name} is not a pair (inputs, labels)")
    x, y = (torch.as_tensor(part).cpu() for part in pair)
    if x.ndim < 2 or len(x) == 0:
        raise InvalidData(f"{name} inputs of shape {tuple(x.shape)}: (N, *shape) with N >= 1 was expected")
    if y.shape != (len(x),):
        raise InvalidData(f"{name} labels of shape {tuple(y.shape)} for {len(x)} inputs")
    if y.is_floating_point() or y.dtype == torch.bool:
        raise InvalidData(f"{name} labels are {y.dtype}, not integers")
    x, y = x.to(torch.float32), y.to(torch.int64)
    if not x.isfinite().all():
        raise InvalidData(f"{name} inputs are not all finite")
    if x.min() < low or x.max() > high:
        raise InvalidData(f"{name} inputs lie in [{x.min():g}, {x.max():g}], outside the box [{low:g}, {high:g}]")
    if y.min() < 0:
        raise InvalidData(f"{name} has a negative label")
    return x, y


class Dataset(Component):
    """A data set. Its fields are its parameters; `load` gives its `Data`.

    A data set that reads files must override `fingerprint`, so that its identity depends on their content.
    """

    kind: ClassVar[str] = "dataset"

    def load(self, seed: int) -> Data:
        """The training and test samples.

        The seed (uint32) may change the training sample only; the test sample must be the same for all seeds. The
        global random states must not be used. Raises `DataError` if the data are absent or damaged.
        """
        raise NotImplementedError


def name_of(dataset: Dataset) -> str:
    """The name of a data set in messages about breaches of the rules."""
    return f"data set {name_in_messages(type(dataset))}"
