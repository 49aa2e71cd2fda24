"""Numbers in the forms that people bring, of any type and library, as arrays of numpy and as tensors.

`argument` is the name of what was given in messages, in the plural.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from bnnbench.plugins.described import described, plain

if TYPE_CHECKING:
    from torch import Tensor

_REGISTERED = 2
"""What `numpy.dtype.isbuiltin` is for a type that another library registered, as ml_dtypes does for JAX."""


def array_of(value: Any, argument: str) -> np.ndarray:
    """A tensor, an array of any library, a table or nested lists as an array of a real type that torch has too.

    The array may share its memory with what was given. bfloat16 and smaller types become float32 or int8, which hold
    all of their values. Raises `TypeError` for what are not real numbers, masked values included, and `ValueError` for
    lists of unequal parts.
    """
    array = as_given(value, argument)
    check_real(array, value, argument)
    if array.dtype.isbuiltin == _REGISTERED:
        return array.astype(np.int8 if np.can_cast(array.dtype, np.int8) else np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_given(value: Any, argument: str) -> np.ndarray:
    """What was given as an array of the type that it has, whatever that is; Python's numbers become a type of numpy.

    Raises `TypeError` for masked values and for what cannot be an array, and `ValueError` for unequal parts.
    """
    refuse_masked(value, argument)
    in_numpy = _in_numpy(value, argument)
    try:
        array = np.asarray(in_numpy)
    except ValueError as error:
        raise ValueError(f"{argument} do not all have one shape") from error
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{argument} are not real numbers but {described(value)}") from error
    return _unboxed(array) if array.dtype.kind == "O" else array


def check_real(array: np.ndarray, given: Any, argument: str) -> None:
    """Raise `TypeError` unless an array, which was made of what was given, consists of real numbers or flags."""
    kind = array.dtype.kind
    if kind in "biuf" or (array.dtype.isbuiltin == _REGISTERED and np.can_cast(array.dtype, np.float32)):
        return
    if kind == "O" and array.ndim:
        other = next((item for item in array.ravel() if not _is_number(plain(item))), given)
        raise TypeError(f"{argument} are not real numbers but {described(other)}")
    if kind == "O" or not array.ndim:
        raise TypeError(f"{argument} are not real numbers but {described(given)}")
    if kind in "US" and array.size:
        raise TypeError(f"{argument} are not real numbers: the first is {described(array.ravel()[0])}")
    raise TypeError(f"{argument} are {array.dtype}, not real numbers")


def precision_of(array: np.ndarray) -> float | None:
    """The distance from 1 to the next number of the array's type, or None if these are integers or flags."""
    if array.dtype.kind in "biu" or np.can_cast(array.dtype, np.int8):
        return None
    return float(np.spacing(np.ones((), array.dtype)))


def precision_given(given: Any, made: Tensor) -> float:
    """The distance from 1 to the next number of the type of what was given, of which a tensor of floats was made.

    Tensors and arrays may have a type of fewer digits than the tensor. Integers and lists have the tensor's.
    """
    import torch

    own = getattr(stacked(given), "dtype", None)
    if isinstance(own, torch.dtype):
        return torch.finfo(own if own.is_floating_point else made.dtype).eps
    found = precision_of(np.ones((), own)) if isinstance(own, np.dtype) and own.kind != "O" else None
    return found or torch.finfo(made.dtype).eps


def tensor_of_array(array: np.ndarray) -> Tensor:
    """A copy of an array of `array_of` as a tensor; unsigned integers, of which torch has few, become float32."""
    import torch

    return torch.from_numpy(np.array(array, np.float32 if array.dtype.kind == "u" else array.dtype))


def stacked(value: Any) -> Any:
    """A list or tuple of tensors as one tensor, with its graph; everything else, unequal ones too, as it is."""
    import torch

    if not isinstance(value, list | tuple) or not value or not all(is_tensor(one) for one in value):
        return value
    if len({(one.shape, one.device, one.layout, one.is_nested) for one in value}) > 1:
        return value
    return torch.stack(list(value))


def strided(value: Tensor, argument: str) -> Tensor:
    """A tensor, with its graph, whose numbers lie side by side and can be computed with.

    Sparse and quantised tensors are expanded, and floats of 8 bits, for which torch has no arithmetic, become float32.
    Raises `TypeError` for a tensor that holds no numbers, on the device `meta`, for a nested one, and for numbers that
    torch cannot convert.
    """
    import torch

    if value.is_meta:
        raise TypeError(f"{argument} are on the device 'meta', which holds no numbers")
    if value.is_nested:
        raise TypeError(f"{argument} do not all have one shape")
    value = value.dequantize() if value.is_quantized else value
    value = value if value.layout == torch.strided else value.to_dense()
    if value.dtype.itemsize > 1 or value.dtype in (torch.uint8, torch.int8, torch.bool):
        return value
    try:
        return value.to(torch.float32)
    except RuntimeError as error:
        raise TypeError(f"{argument} are {value.dtype}, which torch cannot convert to float32") from error


def dense(value: Tensor, argument: str) -> Tensor:
    """A tensor as `strided` gives it, without its graph."""
    return strided(value.detach(), argument).resolve_neg()


def refuse_masked(value: Any, argument: str) -> None:
    """Raise `TypeError` for an array of numpy with masked values, or a list of such, which would count as numbers."""
    if np.ma.is_masked(value) or (isinstance(value, list | tuple) and any(map(_is_masked, value))):
        raise TypeError(f"{argument} have masked values, which are no numbers: fill them or leave them out")


def _is_masked(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)


def is_tensor(value: Any) -> TypeGuard[Tensor]:
    """Whether a value is a tensor of torch, which is not imported for the answer."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _in_numpy(value: Any, argument: str) -> Any:
    """A value with arrays of numpy in place of tensors and of JAX's numbers, also in lists."""
    if is_tensor(value):
        value = dense(value, argument)
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy(force=True)
    if not isinstance(value, list | tuple) or not value:
        return value
    first = value[0]
    if isinstance(first, list | tuple) or is_tensor(first):
        return [_in_numpy(one, argument) for one in value]
    # numpy does not read a list of JAX's numbers in bfloat16.
    scalars = getattr(first, "shape", None) == () and not isinstance(first, np.generic)
    return [np.asarray(one) for one in value] if scalars else value


def _unboxed(array: np.ndarray) -> np.ndarray:
    """An array of Python objects as one of numbers, if they all are: a table may hold columns of several types."""
    items = [plain(item) for item in array.ravel()]
    if not array.ndim or not all(map(_is_number, items)):
        return array
    found = np.array(items) if all(isinstance(item, int) for item in items) else np.array(items, float)
    return (np.array(items, float) if found.dtype.kind == "O" else found).reshape(array.shape)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)
