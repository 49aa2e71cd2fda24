"""Inputs and labels in the forms that people bring, as the tensors of a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bnnbench.core.arrays import as_given, check_real, dense, precision_of, stacked
from bnnbench.core.box import FLOAT32, SHOWN, check_finite, check_in_box, clipped
from bnnbench.core.labels import labels
from bnnbench.errors import InvalidData
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import Tensor

CHANCE = 1e-6
"""Classes without an input are an error if chance leaves so many of equally frequent classes out more rarely."""


def sample(name: str, pair: Any, bounds: tuple[float, float], classes: int | None) -> tuple[Tensor, Tensor]:
    """Inputs (N, *shape) as a contiguous float32 tensor, and labels (N,) as an int64 tensor, both on the CPU.

    Inputs outside of the box by the rounding of their type are clipped to it. `name` names the sample in messages, and
    `classes` is the number of classes, if it is known. Raises `InvalidData` if the pair is no sample.
    """
    import torch

    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InvalidData(f"{name} is {described(pair)}, not a pair (inputs, labels)")
    # Tensors that are made in inference mode could not be used in a training later.
    with torch.inference_mode(False):
        x, precision, byte = _inputs(name, pair[0])
        if x.ndim < 2 or x.numel() == 0:
            found = f"{name} inputs of shape {tuple(x.shape)}: (N, *shape) with N >= 1 was expected"
            raise InvalidData(f"{found}{_one_number_each(x, pair[1])}")
        try:
            y = labels(pair[1], len(x), argument=f"{name} labels", classes=classes).cpu()
        except (TypeError, ValueError) as error:
            raise InvalidData(str(error)) from None
        check_finite(x, f" of {name}")
        check_in_box(x, bounds, argument=f"{name} inputs", precision=precision, byte=byte)
        x = clipped(x, bounds)
        return (x.clone() if x.is_inference() else x), (y.clone() if y.is_inference() else y)


def _inputs(name: str, given: Any) -> tuple[Tensor, float, bool]:
    """Inputs as a float32 tensor, the precision of the type that they had, and whether that was a byte."""
    import torch

    argument, given = f"{name} inputs", stacked(given)
    try:
        if not isinstance(given, torch.Tensor):
            return _from_array(argument, given)
        x = dense(given, argument)
        if x.is_complex():
            raise TypeError(f"{argument} are {x.dtype}, not real numbers")
    except (TypeError, ValueError) as error:
        raise InvalidData(str(error)) from None
    precision = torch.finfo(given.dtype).eps if given.is_floating_point() else FLOAT32
    return x.cpu().to(torch.float32).contiguous(), precision, x.dtype == torch.uint8


def _from_array(argument: str, given: Any) -> tuple[Tensor, float, bool]:
    import numpy as np
    import torch

    array = as_given(given, argument)
    check_real(array, given, argument)
    with np.errstate(over="ignore"):  # What is too large becomes infinite, which is told with its position.
        numbers = np.ascontiguousarray(array.astype(np.float32, copy=False)).reshape(array.shape)
    # torch warns of arrays that are not writeable.
    tensor = torch.from_numpy(numbers if numbers.flags.writeable else numbers.copy())
    return tensor, precision_of(array) or FLOAT32, array.dtype == np.uint8


def _one_number_each(x: Tensor, labels: Any) -> str:
    if x.ndim != 1 or len(x) == 0:
        return ""
    if len(getattr(labels, "shape", ())) > 1:
        return "; inputs come first, labels second"
    return "; reshape(-1, 1) makes inputs of one number each"


def number_of_classes(labels: Sequence[Tensor]) -> int:
    """The number of classes of the labels of all samples, one more than the largest label.

    Raises `InvalidData` if there are fewer than two, or if labels are not numbered from 0: if they are 1 to K, or if
    more classes are without an input than chance explains.
    """
    import torch

    every = torch.cat(list(labels))
    present = every.unique().tolist()
    classes = present[-1] + 1
    if classes < 2:
        raise InvalidData(f"all labels are {present[-1]}: fewer than two classes; give classes, if there are more")
    if classes > 2 and present == list(range(1, classes)):
        raise InvalidData(
            f"labels are 1 to {classes - 1}, and none is 0: subtract 1, or give classes={classes} if class 0 is meant "
            "to have no input"
        )
    if _left_out_by_chance(len(present), classes, len(every)) < CHANCE:
        listed = ", ".join(map(str, present[:SHOWN])) + (", ..." if len(present) > SHOWN else "")
        absent = classes - len(present)
        raise InvalidData(
            f"{absent} of the classes 0 to {classes - 1} {'has' if absent == 1 else 'have'} no input (labels are "
            f"{listed}): number the classes without gaps, as numpy.unique(y, return_inverse=True)[1] does, or give "
            f"classes={classes}"
        )
    return classes


def _left_out_by_chance(present: int, classes: int, inputs: int) -> float:
    """An upper bound of the probability that so many inputs of equally frequent classes leave so many classes out."""
    if present == classes:
        return 1.0
    choices = math.lgamma(classes + 1) - math.lgamma(present + 1) - math.lgamma(classes - present + 1)
    return math.exp(min(0.0, choices + inputs * math.log(present / classes)))
