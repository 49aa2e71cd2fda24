"""Labels in the forms that people bring, as a tensor of integers, and what is told about wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnnbench.core.arrays import array_of, as_given, dense, tensor_of_array
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import Tensor


def labels(value: Any, count: int, *, argument: str = "labels", classes: int | None = None) -> Tensor:
    """Labels (N,) as an int64 tensor, on the device that they are on.

    Args:
        value: a tensor, array, series or list of integers.
        count: N, the number of inputs.
        argument: the name of the argument, in the plural.
        classes: the number of classes, if it is known: labels are below it.

    Raises `TypeError` if they are not integers (texts, floats, booleans), `ValueError` if they are not one for each
    input (one-hot vectors, a column, another number), negative, or not below `classes`.
    """
    import torch

    y = dense(value, argument) if isinstance(value, torch.Tensor) else _integers(value, argument)
    if y.dtype == torch.bool or y.is_floating_point() or y.is_complex():
        raise TypeError(f"{argument} are {_type(value, y)}, not integers{_as_integers(y)}")
    if y.shape != (count,):
        raise ValueError(f"{argument} of shape {tuple(y.shape)} for {count} inputs{_flattened(y, count)}")
    y = y.to(torch.int64)
    if count and y.min() < 0:
        raise ValueError(f"{argument}: {_worst(y, y.min())} is a negative label{_signs(y)}")
    if count and classes is not None and y.max() >= classes:
        raise ValueError(
            f"{argument}: label {_worst(y, y.max())} with {classes} classes; labels are 0 to {classes - 1}"
        )
    return y


def _integers(value: Any, argument: str) -> Tensor:
    """Labels that are not a tensor yet, as one. Raises `TypeError` if they are not numbers."""
    try:
        array = as_given(value, argument)
    except ValueError as error:
        raise TypeError(f"{argument} are a list of unequal parts, not one integer for each input") from error
    if array.dtype.kind in "USO" and array.size and array.ndim:
        first = array.ravel()[0]
        raise TypeError(f"{argument} are not integers: the first is {described(first)}{_numbered(first)}")
    if array.ndim == 0:
        raise TypeError(f"{argument} are one integer for each input, not {described(value)}")
    if array.dtype.kind == "c":
        raise TypeError(f"{argument} are {array.dtype}, not integers")
    array = array_of(array, argument)
    return tensor_of_array(array.astype("i8") if array.dtype.kind == "u" else array)


def _numbered(first: Any) -> str:
    """The end of a message about labels that are texts: what makes numbers of them."""
    if not isinstance(first, str | bytes):
        return ""
    if first.isdigit():
        return "; y.astype(int) makes integers of them"
    return "; numpy.unique(y, return_inverse=True)[1] numbers them: training and test labels together"


def _type(given: Any, y: Tensor) -> str:
    """The type of the numbers that were given, from which y was made."""
    return str(getattr(given, "dtype", y.dtype)).removeprefix("torch.")


def _as_integers(y: Tensor) -> str:
    """The end of a message about labels that are not integers: an example that cannot be a label, or the remedy."""
    import torch

    if y.dtype == torch.bool:
        return ": convert them, with y.long() or y.astype(int)"
    if y.is_complex():
        return ""
    broken = y.flatten()[(y != y.round()).flatten()]
    if len(broken):
        return f", such as {broken[0].item():g}"
    return ": convert them, with y.long() or y.astype(int)" if y.ndim == 1 else _flattened(y, len(y))


def _flattened(y: Tensor, count: int) -> str:
    """The end of a message about the shape of labels: what makes labels of them."""
    if tuple(y.shape) == (count, 1):
        return ": (N,) is meant; y.reshape(-1) makes one label for each input"
    if y.ndim == 2 and len(y) == count and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return ": they are one-hot; y.argmax(1) makes labels of them"
    return ": (N,) is meant, one label for each input"


def _worst(y: Tensor, label: Tensor) -> str:
    """A label, and the first position that has it."""
    position = int((y == label).nonzero()[0])
    return f"{int(label)} (of input {position})"


def _signs(y: Tensor) -> str:
    return "; (y + 1) // 2 makes 0 and 1 of -1 and 1" if set(y.unique().tolist()) == {-1, 1} else ""
