"""Checks of the arguments of public functions.

Each returns the value in the form that the core uses. It raises `TypeError` for a value of another type, and
`ValueError` for a value of the right type that is out of place. A message is one line. It names the argument, what was
meant and what was given, and the remedy for some common mistakes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from bnnbench.errors import closest
from bnnbench.plugins.described import described, in_words, plain, with_article
from bnnbench.plugins.kinds import KIND

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

_NEXT_STEP = {
    "dataset": "its load(seed) gives the data",
    "network": "its build(data) gives the module",
    "posterior": "bnnbench.fit(posterior, network, data) gives the predictive",
}
"""What makes something else of a component of a kind, where a component is given in the place of what it makes."""


def instance_of(value: Any, wanted: type[T], *, argument: str, meant: str) -> T:
    """The value, an instance of a class. Raises `TypeError` for anything else.

    Args:
        value: what was given.
        wanted: the class.
        argument: the name of the argument.
        meant: what the argument is, with an article and an example: "a posterior, such as bnnbench.posterior('sgd')".
    """
    if isinstance(value, wanted):
        return value
    raise TypeError(f"{argument} is {meant}, not {described(value)}{_remedy(value, wanted)}")


def _remedy(value: Any, wanted: type) -> str:
    """The end of a message: how to make an instance of a class from a value that is probably meant for one."""
    kind = getattr(wanted, "kind", None)
    if isinstance(value, str) and isinstance(kind, str) and kind in KIND:
        return f"; bnnbench.{kind}({value[:60]!r}) makes {with_article(kind)} from its name"
    own = getattr(value if isinstance(value, type) else type(value), "kind", None)
    if isinstance(value, type) and (issubclass(value, wanted) or (wanted is str and isinstance(own, str))):
        return f"; {value.__name__}() makes an instance"
    made = isinstance(own, str) and not isinstance(kind, str)
    return f"; {_NEXT_STEP[own]}" if made and own in _NEXT_STEP else ""


def number(
    value: Any,
    *,
    argument: str,
    least: float = -math.inf,
    greatest: float = math.inf,
    meant: str = "one number",
) -> float:
    """A finite number as a Python float; numbers of numpy, torch and JAX are taken, booleans are not.

    A number of lower precision keeps its value: `numpy.float32(0.1)` is 0.10000000149011612. Raises `TypeError` if it
    is no number, `ValueError` if it is not finite, less than `least` or greater than `greatest`.
    """
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, int | float):
        written = isinstance(given, str) and re.fullmatch(r"[-+.\deE/ ]*\d", given.strip())
        raise TypeError(f"{argument} is {meant}, not {described(value)}{'; write it without quotes' * bool(written)}")
    try:
        result = float(given)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{argument} is a finite number, not {described(value)}")
    _check_range(result, given, argument, least, greatest)
    return result


def integer(
    value: Any,
    *,
    argument: str,
    least: float = -math.inf,
    greatest: float = math.inf,
    meant: str = "an integer",
) -> int:
    """An integer as a Python int; integers of numpy, torch and JAX are taken, booleans and floats are not.

    Raises `TypeError` if it is no integer, `ValueError` if it is less than `least` or greater than `greatest`.
    """
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{argument} is {meant}, not {described(value)}")
    _check_range(given, given, argument, least, greatest)
    return int(given)


def _check_range(value: float, given: Any, argument: str, least: float, greatest: float) -> None:
    if not least <= value <= greatest:
        bounds = [f"at least {least:g}"] * (least > -math.inf) + [f"at most {greatest:g}"] * (greatest < math.inf)
        raise ValueError(f"{argument} is {' and '.join(bounds)}, not {described(given)}")


def one_of(value: Any, known: Iterable[str], *, argument: str) -> str:
    """The value, one of the known words. Raises `ValueError`, with the word that was probably meant, for others."""
    words = list(known)
    if isinstance(value, str) and value in words:
        return str(value)
    given = plain(value)
    close = closest(str(given).lower(), words) if isinstance(given, str | int | float) else None
    # The only word there is was named already, and may be the opposite of what was meant.
    hint = f"; did you mean {close!r}?" if close and len(words) > 1 else ""
    raise ValueError(f"{argument} is {in_words(words)}, not {described(value)}{hint}")


def interval(value: Any, *, argument: str) -> tuple[float, float]:
    """Two finite numbers, the smaller one first, as Python floats.

    Raises `TypeError` if the value is no pair of numbers, `ValueError` if they are not finite or not in this order.
    """
    meant = "a pair of numbers (smallest, largest)"
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__len__") or len(value) != 2:
        raise TypeError(f"{argument} is {meant}, not {described(value)}")
    low, high = (number(part, argument=f"each end of {argument}") for part in value)
    if not low < high:
        order = f"; did you mean ({high:g}, {low:g})?" if high < low else ""
        raise ValueError(f"{argument} ({low:g}, {high:g}) are not an interval: the smaller comes first{order}")
    return low, high


def names(given: Iterable[str], known: Iterable[str], *, function: str) -> None:
    """Check the names of keyword arguments. Raises `TypeError`, with the probable name, for one that is not known."""
    words = list(known)
    for name in given:
        if name not in words:
            close = closest(name.lower(), words)
            hint = f"; did you mean {close!r}?" if close else f" ({', '.join(words)})"
            raise TypeError(f"{function} has no argument {name!r}{hint}")


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

    y = value.detach() if isinstance(value, torch.Tensor) else _integers(value, argument)
    if y.dtype == torch.bool or y.is_floating_point() or y.is_complex():
        raise TypeError(f"{argument} are {_type(y)}, not integers{_as_integers(y)}")
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
    import numpy as np
    import torch

    if isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        value = [item.tolist() for item in value]
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument} are a list of unequal parts, not one integer for each input") from error
    if array.dtype.kind == "O":
        items = [plain(item) for item in array.ravel()]
        if items and all(type(item) is int for item in items):
            array = np.array(items).reshape(array.shape)
    if array.dtype.kind in "USO" and array.size and array.ndim:
        first = array.ravel()[0]
        raise TypeError(f"{argument} are not integers: the first is {described(first)}{_numbered(first)}")
    if array.dtype.kind not in "biufc" or array.ndim == 0:
        raise TypeError(f"{argument} are one integer for each input, not {described(value)}")
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))


def _numbered(first: Any) -> str:
    """The end of a message about labels that are texts: what makes numbers of them."""
    if not isinstance(first, str | bytes):
        return ""
    if first.isdigit():
        return "; y.astype(int) makes integers of them"
    return "; numpy.unique(y, return_inverse=True)[1] numbers them: training and test labels together"


def _type(y: Tensor) -> str:
    return str(y.dtype).removeprefix("torch.")


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
