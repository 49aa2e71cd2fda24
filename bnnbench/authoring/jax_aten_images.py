"""JAX forms of torch's ATen operations on images: convolution, pooling, resizing and normalisation.

They hold for one, two and three spatial axes. `jax_aten_tables` describes such forms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bnnbench.authoring import jax_normalisation as normalisation

Sizes = Sequence[int]
"""One number for each spatial axis, or one for all."""


def convolution(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Array:
    """The cross-correlation of inputs (N, C, ...) with weights (O, C / groups, ...), or its transpose."""
    axes = x.ndim - 2
    stride, padding, dilation, extra = (_each(v, axes) for v in (stride, padding, dilation, output_padding))
    edges, spread = [(side, side) for side in padding], [1] * axes
    if transposed:
        weight, spread, stride = _transposed(weight, groups), stride, [1] * axes
        reach = [step * (size - 1) for step, size in zip(dilation, weight.shape[2:], strict=True)]
        edges = [(r - side, r - side + more) for r, side, more in zip(reach, padding, extra, strict=True)]
    letters = "DHW"[-axes:]
    out = lax.conv_general_dilated(
        x,
        weight,
        stride,
        edges,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=(f"NC{letters}", f"OI{letters}", f"NC{letters}"),
        feature_group_count=groups,
    )
    return out if bias is None else out + bias.reshape(-1, *[1] * axes)


def max_pool(axes: int) -> Callable[..., tuple[Array, None]]:
    """A form of max pooling over the last axes; it does not give the positions."""

    def form(
        x: Array, kernel: Sizes, stride: Sizes = (), padding: Sizes = (0,), dilation: Sizes = (1,), ceil: bool = False
    ) -> tuple[Array, None]:
        if any(apart != 1 for apart in dilation):
            return _largest_of_offsets(x, axes, *_geometry(x, axes, kernel, stride, padding, dilation, ceil)), None
        return _pool(x, -np.inf, lax.max, axes, kernel, stride, padding, ceil), None

    return form


def average_pool(axes: int) -> Callable[..., Array]:
    """A form of average pooling over the last axes."""

    def form(
        x: Array,
        kernel: Sizes,
        stride: Sizes = (),
        padding: Sizes = (0,),
        ceil: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
    ) -> Array:
        shape, sides = x.shape[-axes:], _each(padding, axes)
        sums = _pool(x, 0.0, lax.add, axes, kernel, stride, sides, ceil)
        if divisor:
            return sums / divisor
        # A window that reaches over the padding counts as many numbers as lie within it.
        if count_include_pad:
            counted, sides = np.ones([n + 2 * p for n, p in zip(shape, sides, strict=True)], np.float32), [0]
        else:
            counted = np.ones(shape, np.float32)
        return sums / _pool(jnp.asarray(counted), 0.0, lax.add, axes, kernel, stride, sides, ceil)

    return form


def adaptive_average_pool(x: Array, size: Sizes) -> Array:
    """The means of windows that divide the last axes into as many parts as `size` says."""
    for axis, parts in enumerate(size, start=x.ndim - len(size)):
        weights = np.zeros((parts, x.shape[axis]), np.float32)
        for row, (start, end) in zip(weights, _parts(x.shape[axis], parts), strict=True):
            row[start:end] = 1 / (end - start)
        x = _along(x, weights, axis)
    return x


def adaptive_max_pool(x: Array, size: Sizes) -> tuple[Array, None]:
    """The largest values of such windows; it does not give the positions."""
    for axis, parts in enumerate(size, start=x.ndim - len(size)):
        windows = [lax.slice_in_dim(x, *ends, axis=axis).max(axis) for ends in _parts(x.shape[axis], parts)]
        x = jnp.stack(windows, axis)
    return x, None


def resized_linearly(x: Array, size: Sizes, align_corners: bool, *scales: float | None) -> Array:
    """The last axes interpolated linearly to other lengths."""
    for axis, new, scale in zip(range(x.ndim - len(size), x.ndim), size, scales or [None] * len(size), strict=True):
        old = x.shape[axis]
        if align_corners:
            place = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
        else:
            place = np.maximum((np.arange(new) + 0.5) * (1 / scale if scale else old / new) - 0.5, 0)
        left = np.minimum(place.astype(int), old - 1)
        weights = np.zeros((new, old), np.float32)
        np.add.at(weights, (np.arange(new), left), 1 - (place - left))
        np.add.at(weights, (np.arange(new), np.minimum(left + 1, old - 1)), place - left)
        x = _along(x, weights, axis)
    return x


def batch_norm(
    x: Array, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float, eps: float
) -> tuple[Array, None, None]:
    """The channels normalised by their running statistics, or by their own if `training` (`nn.InstanceNorm2d`)."""
    shape, axes = (-1, *[1] * (x.ndim - 2)), (0, *range(2, x.ndim))
    if training:
        mean = x.mean(axes)
        variance = jnp.square(x - mean.reshape(shape)).mean(axes)
    out = (x - mean.reshape(shape)) / jnp.sqrt(variance.reshape(shape) + eps)
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape), None, None


def layer_norm(x: Array, shape: Sizes, weight: Any, bias: Any, eps: float) -> tuple[Array, None, None]:
    """The last axes normalised together."""
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axes, keepdims=True)
    out = centred / jnp.sqrt(jnp.square(centred).mean(axes, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, None, None


def group_norm(
    x: Array, weight: Any, bias: Any, images: int, channels: int, pixels: int, groups: int, eps: float
) -> tuple[Array, None, None]:
    """Groups of channels normalised together."""
    return normalisation.group_norm(x, groups, weight, bias, eps), None, None


def _transposed(weight: Array, groups: int) -> Array:
    """Weights (C, O / groups, ...) as those of the convolution that computes the transpose: (O, C / groups, ...)."""
    inputs, outputs, *sizes = weight.shape
    parts = weight.reshape(groups, inputs // groups, outputs, *sizes).swapaxes(1, 2)
    return jnp.flip(parts.reshape(groups * outputs, inputs // groups, *sizes), tuple(range(2, weight.ndim)))


def _pool(
    x: Array, start: float, combine: Any, axes: int, kernel: Sizes, stride: Sizes, padding: Sizes, ceil: bool
) -> Array:
    kernel, steps, _, edges = _geometry(x, axes, kernel, stride, padding, (1,), ceil)
    outer = [1] * (x.ndim - axes)
    return lax.reduce_window(x, start, combine, (*outer, *kernel), (*outer, *steps), [(0, 0)] * len(outer) + edges)


def _geometry(
    x: Array, axes: int, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil: bool
) -> tuple[list[int], list[int], list[int], list[tuple[int, int]]]:
    """The sizes of windows, their steps, their dilations, and the paddings at both ends, of each axis."""
    kernel = _each(kernel, axes)
    steps, padding, dilation = _each(stride or kernel, axes), _each(padding, axes), _each(dilation, axes)
    edges = []
    for length, size, step, side, apart in zip(x.shape[-axes:], kernel, steps, padding, dilation, strict=True):
        left = length + 2 * side - apart * (size - 1) - 1
        # With `ceil` a last window may begin inside of the image and reach over its end.
        windows = math.ceil(left / step) if ceil else left // step
        windows -= windows * step >= length + side
        edges.append((side, side + max(windows * step - left, 0)))
    return kernel, steps, dilation, edges


def _largest_of_offsets(
    x: Array, axes: int, kernel: Sizes, steps: Sizes, dilation: Sizes, edges: Sequence[tuple[int, int]]
) -> Array:
    """The largest values of dilated windows, of which JAX's own maximum over windows has no gradient."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - axes) + list(edges), constant_values=-np.inf)
    reach = [length - apart * (size - 1) for length, apart, size in zip(x.shape[-axes:], dilation, kernel, strict=True)]
    values = [
        x[(..., *(slice(o * d, o * d + r, step) for o, d, r, step in zip(offset, dilation, reach, steps, strict=True)))]
        for offset in itertools.product(*map(range, kernel))
    ]
    index = jnp.argmax(jnp.stack(values), 0, keepdims=True)
    return jnp.take_along_axis(jnp.stack(values), index, 0)[0]


def _parts(length: int, parts: int) -> list[tuple[int, int]]:
    return [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def _along(x: Array, weights: np.ndarray, axis: int) -> Array:
    return jnp.moveaxis(jnp.moveaxis(x, axis, -1) @ jnp.asarray(weights.T, x.dtype), -1, axis)


def _each(sizes: Sizes, axes: int) -> list[int]:
    return list(sizes) * axes if len(sizes) == 1 else list(sizes)


FORMS: dict[str, Callable[..., Any]] = {
    "convolution": convolution,
    "max_pool2d_with_indices": max_pool(2),
    "max_pool3d_with_indices": max_pool(3),
    "avg_pool2d": average_pool(2),
    "avg_pool3d": average_pool(3),
    "_adaptive_avg_pool2d": adaptive_average_pool,
    "_adaptive_avg_pool3d": adaptive_average_pool,
    "adaptive_max_pool2d": adaptive_max_pool,
    "adaptive_max_pool3d": adaptive_max_pool,
    "upsample_linear1d": resized_linearly,
    "upsample_bilinear2d": resized_linearly,
    "upsample_trilinear3d": resized_linearly,
    "native_batch_norm": batch_norm,
    "_native_batch_norm_legit": batch_norm,
    "_native_batch_norm_legit.no_stats": lambda x, weight, bias, *rest: batch_norm(x, weight, bias, None, None, *rest),
    "_native_batch_norm_legit_no_training": lambda x, weight, bias, mean, variance, momentum, eps: batch_norm(
        x, weight, bias, mean, variance, False, momentum, eps
    ),
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
}
