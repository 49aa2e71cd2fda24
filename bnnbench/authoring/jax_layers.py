"""JAX forms of torch's layers, functions and tensor methods.

The arguments have torch's names, order, defaults and layouts: images are NCHW, convolution weights OIHW. A function
named `..._module` takes a torch layer, a function `get` from the layer's own tensor names to arrays, and the inputs. An
argument that has no JAX form raises `Incompatible`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from torch import nn

from bnnbench.errors import Incompatible

Get = Callable[[str], Array]
"""A function from the name of a layer's tensor, such as `weight`, to its array."""
Pair = int | tuple[int, int]
"""One number for both spatial axes, or one for each."""


def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:  # noqa: A002 - torch's name
    """x W^T + b, for inputs (..., features) and weights (outputs, features)."""
    product = input @ weight.T
    return product if bias is None else product + bias


def conv2d(
    input: Array,  # noqa: A002 - torch's name
    weight: Array,
    bias: Array | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """The cross-correlation of inputs NCHW with weights OIHW."""
    edges: Any = padding.upper() if isinstance(padding, str) else [(side, side) for side in _pair(padding)]
    out = lax.conv_general_dilated(
        input,
        weight,
        _pair(stride),
        edges,
        rhs_dilation=_pair(dilation),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=groups,
    )
    return out if bias is None else out + bias[:, None, None]


def conv2d_module(layer: nn.Conv2d, get: Get, x: Array) -> Array:
    """The output of a layer `nn.Conv2d`."""
    bias = get("bias") if layer.bias is not None else None
    settings: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    return conv2d(x, get("weight"), bias, **settings)


def batch_norm_module(layer: nn.BatchNorm2d, get: Get, x: Array) -> Array:
    """The output of a layer `nn.BatchNorm1d` or `nn.BatchNorm2d` in eval mode: an affine map by its statistics."""
    shape = (-1, *[1] * (x.ndim - 2))
    out = (x - get("running_mean").reshape(shape)) / jnp.sqrt(get("running_var").reshape(shape) + layer.eps)
    return out * get("weight").reshape(shape) + get("bias").reshape(shape) if layer.affine else out


def layer_norm_module(layer: nn.LayerNorm, get: Get, x: Array) -> Array:
    """The output of a layer `nn.LayerNorm`."""
    axes = tuple(range(-len(layer.normalized_shape), 0))
    centred = x - x.mean(axes, keepdims=True)
    out = centred / jnp.sqrt((centred**2).mean(axes, keepdims=True) + layer.eps)
    if not layer.elementwise_affine:
        return out
    return out * get("weight") + (get("bias") if layer.bias is not None else 0.0)


def max_pool(
    input: Array,  # noqa: A002 - torch's name
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The largest value of each window, for inputs NCHW."""
    if ceil_mode or return_indices or _pair(dilation) != (1, 1):
        raise Incompatible("no JAX form of max_pool2d with ceil_mode, return_indices or dilation")
    return _pool(input, -jnp.inf, lax.max, kernel_size, stride, padding)


def max_pool_module(layer: nn.MaxPool2d, get: Get, x: Array) -> Array:
    """The output of a layer `nn.MaxPool2d`."""
    return max_pool(x, layer.kernel_size, layer.stride, layer.padding)


def average_pool(
    input: Array,  # noqa: A002 - torch's name
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window including its padding, for inputs NCHW."""
    if ceil_mode or divisor_override or (not count_include_pad and _pair(padding) != (0, 0)):
        raise Incompatible("no JAX form of avg_pool2d with ceil_mode, divisor_override or without count_include_pad")
    return _pool(input, 0.0, lax.add, kernel_size, stride, padding) / math.prod(_pair(kernel_size))


def average_pool_module(layer: nn.AvgPool2d, get: Get, x: Array) -> Array:
    """The output of a layer `nn.AvgPool2d`."""
    return average_pool(x, layer.kernel_size, layer.stride, layer.padding)


def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> Array:  # noqa: A002 - torch's name
    """The input with its axes `start_dim` to `end_dim`, both included, merged into one."""
    first, last = start_dim % input.ndim, end_dim % input.ndim
    return input.reshape(*input.shape[:first], -1, *input.shape[last + 1 :])


def reshape(x: Array, *shape: Any) -> Array:
    """The input in another shape, which is given as one tuple or as several numbers (`view`, `reshape`)."""
    return x.reshape(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape)


def add(input: Any, other: Any, alpha: float = 1) -> Any:  # noqa: A002 - torch's name
    """input + alpha * other."""
    # The sum of two truth values is one too.
    return input + (other if alpha == 1 else alpha * other)


def subtract(input: Any, other: Any, alpha: float = 1) -> Any:  # noqa: A002 - torch's name
    """input - alpha * other."""
    return input - (other if alpha == 1 else alpha * other)


def divide(input: Any, other: Any, rounding_mode: str | None = None) -> Any:  # noqa: A002 - torch's name
    """input / other."""
    if rounding_mode is not None:
        raise Incompatible(f"no JAX form of a division with rounding_mode='{rounding_mode}'")
    return input / other


def mean(input: Array, dim: Any = None, keepdim: bool = False) -> Array:  # noqa: A002 - torch's name
    """The mean over one axis, several axes, or all (None)."""
    return input.mean(_axes(dim), keepdims=keepdim)


def total(input: Array, dim: Any = None, keepdim: bool = False) -> Array:  # noqa: A002 - torch's name
    """The sum over one axis, several axes, or all (None)."""
    return input.sum(_axes(dim), keepdims=keepdim)


def squeeze(input: Array, dim: int | None = None) -> Array:  # noqa: A002 - torch's name
    """The input without its axes of length one. With `dim`, only that axis is removed, if it has length one."""
    if dim is not None and input.shape[dim] != 1:
        return input
    return jnp.squeeze(input, dim)


def leaky_relu(x: Array, negative_slope: float) -> Array:
    """x where it is positive, negative_slope * x elsewhere. The derivative at zero is `negative_slope`, as in torch."""
    return jnp.where(x > 0, x, negative_slope * x)


def gelu(x: Array, approximate: str) -> Array:
    """x times the normal distribution function of x, exactly or (`approximate="tanh"`) by torch's approximation."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def softplus(x: Array, beta: float, threshold: float) -> Array:
    """log(1 + exp(beta x)) / beta, or x itself where beta x is above the threshold."""
    # Zeros replace the values above the threshold, so that the branch that is not selected has a finite gradient.
    curved = jnp.where(beta * x > threshold, 0.0, x)
    return jnp.where(beta * x > threshold, x, jax.nn.softplus(beta * curved) / beta)


def dropout(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:  # noqa: A002
    """The input itself, since networks run in eval mode. Raises `Incompatible` if `training` is True."""
    if training:
        raise Incompatible("no JAX form of dropout that stays on in eval mode")
    return input


def adaptive_average_pool(input: Array, output_size: Any) -> Array:  # noqa: A002 - torch's name
    """The mean of each channel, with axes of length one. Raises `Incompatible` for output sizes other than 1."""
    if output_size not in (1, (1, 1), [1, 1]):
        raise Incompatible(f"no JAX form of adaptive average pooling to size {output_size}, only to 1")
    return input.mean((-2, -1), keepdims=True)


def check(layer: nn.Module, name: str) -> None:
    """Raise `Incompatible` if a layer has a setting without a JAX form. `name` is its name in the network."""
    unsupported = {
        "ceil_mode": bool(getattr(layer, "ceil_mode", False)),
        "dilation": isinstance(layer, nn.MaxPool2d) and _pair(layer.dilation) != (1, 1),  # it has no gradient in JAX
        "return_indices": bool(getattr(layer, "return_indices", False)),
        "divisor_override": getattr(layer, "divisor_override", None) is not None,
        "count_include_pad=False": not getattr(layer, "count_include_pad", True) and _pads(layer),
        f"padding_mode={getattr(layer, 'padding_mode', 'zeros')}": getattr(layer, "padding_mode", "zeros") != "zeros",
        "track_running_stats=False": not getattr(layer, "track_running_stats", True),
    }
    settings = [text for text, is_set in unsupported.items() if is_set]
    if settings:
        raise Incompatible(f"no JAX form of layer {type(layer).__name__} ('{name}') with {', '.join(settings)}")


def _pool(x: Array, start: float, combine: Any, kernel_size: Pair, stride: Pair | None, padding: Pair) -> Array:
    window, step = _pair(kernel_size), _pair(kernel_size if stride is None else stride)
    edges = [(0, 0), (0, 0), *((side, side) for side in _pair(padding))]
    return lax.reduce_window(x, start, combine, (1, 1, *window), (1, 1, *step), edges)


def _axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, list) else dim


def _pads(layer: nn.Module) -> bool:
    padding: Any = getattr(layer, "padding", 0)
    return _pair(padding) != (0, 0)


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def softmax(input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Array:  # noqa: A002
    """The softmax along one axis."""
    return jax.nn.softmax(input, _one_axis(dim, dtype))


def log_softmax(input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Array:  # noqa: A002
    """The logarithm of the softmax along one axis."""
    return jax.nn.log_softmax(input, _one_axis(dim, dtype))


def _one_axis(dim: int | None, dtype: Any) -> int:
    if dim is None or dtype is not None:
        raise Incompatible("a softmax needs its axis (dim), and no dtype")
    return dim
