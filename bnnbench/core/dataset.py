"""Data sets, and the data that they load."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bnnbench.core import arguments
from bnnbench.core.component import Component
from bnnbench.core.samples import number_of_classes, sample
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import InvalidData

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """A training and a test sample of inputs with their labels.

    Args:
        train: a pair `(x, y)` of inputs (N, *shape) and integer labels (N,): tensors, arrays, data frames and series,
            or lists. Inputs are converted to contiguous float32 tensors without gradient, labels to int64. None (the
            default) for data that are evaluated only, to which nothing can be fitted.
        test: the same for the test sample, with the same shape of inputs. It must be given.
        bounds: the box: the smallest and the largest value that an input may have. Inputs that miss it by the rounding
            of their type, as normalised images do, are clipped.
        classes: the number of classes, at least 2; labels are 0 to classes - 1. By default one more than the largest
            label, if the labels are numbered from 0.

    Raises `InvalidData` if inputs are not finite or outside the box, labels are not integers or not below `classes`, or
    shapes do not fit; and, if `classes` is not given, if labels are 1 to K, or if more classes have no input than
    chance explains.
    """

    # Both are declared without None, because code that is handed data to fit may rely on a training sample.
    train: tuple[Tensor, Tensor] = None  # type: ignore[assignment]
    test: tuple[Tensor, Tensor] = None  # type: ignore[assignment]
    bounds: tuple[float, float] = (0.0, 1.0)
    classes: int = 0

    def __new__(cls, *_: Any, **given: Any) -> Self:
        # Only names are checked here: Python's own message does not say which name was probably meant.
        arguments.names(given, [field.name for field in fields(cls)], function="Data")
        return super().__new__(cls)

    if TYPE_CHECKING:

        def __init__(
            self,
            train: tuple[Any, Any] | None = None,
            test: tuple[Any, Any] | None = None,
            bounds: tuple[float, float] = (0.0, 1.0),
            classes: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        try:
            bounds = arguments.interval(self.bounds, argument="bounds")
            number = 0 if self.classes is None else self.classes
            given = arguments.integer(number, argument="classes", least=0) or None  # 0 stands for the default.
        except (TypeError, ValueError) as error:
            raise InvalidData(str(error)) from None
        if given == 1:
            raise InvalidData("fewer than two classes")
        if self.test is None:
            raise InvalidData("there is no test sample: give Data(train=(x, y), test=(x, y))")
        samples = {}
        for name in ("train", "test"):
            pair = getattr(self, name)
            if pair is not None:
                samples[name] = sample(name, pair, bounds, given)
                object.__setattr__(self, name, samples[name])
        if len({x.shape[1:] for x, _ in samples.values()}) > 1:
            raise InvalidData(
                f"training inputs have shape {tuple(self.train[0].shape[1:])}, "
                f"test inputs {tuple(self.test[0].shape[1:])}"
            )
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "classes", given or number_of_classes([y for _, y in samples.values()]))

    def __repr__(self) -> str:
        train = "no training inputs" if self.train is None else f"{len(self.train[1])} training inputs"
        low, high = self.bounds
        return (
            f"Data({train}, {len(self.test[1])} test inputs of shape {self.shape}, {self.classes} classes, "
            f"box [{low:g}, {high:g}])"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.test[0].shape[1:])


def check_training(data: Data) -> None:
    """Raise `InvalidData` if there is no training sample."""
    if data.train is None:
        raise InvalidData("the data have no training sample: to fit, give Data(train=(x, y), test=(x, y))")


def checksum(data: Data) -> str:
    """The sha256 of all inputs and labels, the bounds, the classes and the shape, in hexadecimal."""
    return _checksum_of(data, *(data.train or ()), *data.test)


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


class Dataset(Component):
    """A data set. Its fields are its parameters; `load` gives its `Data`.

    A data set that reads files must override `fingerprint`, so that its identity depends on their content.
    """

    kind: ClassVar[str] = "dataset"
    reserved: ClassVar[frozenset[str]] = Component.reserved | {"epsilons", "threats"}
    known_bounds: ClassVar[tuple[float, float] | None] = None
    """The bounds of the data, if they are the same for all parameters. With them a plan can check radii."""
    known_shape: ClassVar[tuple[int, ...] | None] = None
    """The shape of one input, if it is the same for all parameters."""

    def load(self, seed: int) -> Data:
        """The training and test samples.

        The seed (uint32) may change the training sample only; the test sample must be the same for all seeds. The
        global random states must not be used. Raises `DataError` if the data are absent or damaged.
        """
        raise NotImplementedError


def name_of(dataset: Dataset) -> str:
    """The name of a data set in messages about breaches of the rules."""
    return f"data set {name_in_messages(type(dataset))}"
