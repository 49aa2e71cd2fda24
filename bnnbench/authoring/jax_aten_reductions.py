"""JAX forms of torch's ATen operations along axes and of matrices, as `jax_aten_tables` describes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from bnnbench.authoring.jax_aten_pointwise import absolute, root

Axes = int | Sequence[int] | None
"""One axis, several axes, or all: None or an empty list."""


def over(function: Callable[..., Array]) -> Callable[..., Array]:
    """A form with torch's arguments of a reduction by a function of JAX."""

    def form(x: Array, dim: Axes = None, keepdim: bool = False, dtype: Any = None) -> Array:
        return function(x if dtype is None else x.astype(dtype), _axes(dim), keepdims=keepdim)

    return form


def extreme(position: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """A form of `max` or `min` along one axis: values and positions. The gradient goes to that position alone."""

    def form(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
        index = position(x, dim, keepdims=True)
        values = jnp.take_along_axis(x, index, dim)
        return (values, index) if keepdim else (jnp.squeeze(values, dim), jnp.squeeze(index, dim))

    return form


def position_of(function: Callable[..., Array]) -> Callable[..., Array]:
    """A form of `argmax` or `argmin`."""
    return lambda x, dim=None, keepdim=False: function(x, dim, keepdims=keepdim)


def variance(x: Array, dim: Axes = None, correction: float | None = None, keepdim: bool = False) -> Array:
    """The sum of squared deviations over their number less the correction, which is 1 if it is None."""
    axes = _axes(dim)
    squares = jnp.square(x - x.mean(axes, keepdims=True)).sum(axes, keepdims=keepdim)
    count = x.size if axes is None else math.prod(x.shape[axis] for axis in axes)
    return squares / max(count - (1 if correction is None else correction), 0)


def norm(x: Array, order: float = 2, dim: Axes = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """The norm of vectors along axes. Its gradient at a vector of zeros is zero, as in torch."""
    axes, sizes = _axes(dim), absolute(x)
    if order in (math.inf, -math.inf):
        return (jnp.max if order > 0 else jnp.min)(sizes, axes, keepdims=keepdim)
    if order == 2:
        return root(jnp.square(x).sum(axes, keepdims=keepdim))
    if order in (0, 1):
        return (sizes if order else (x != 0).astype(x.dtype)).sum(axes, keepdims=keepdim)
    positive = sizes > 0
    powers = jnp.where(positive, jnp.where(positive, sizes, 1.0) ** order, 0.0).sum(axes, keepdims=keepdim)
    return jnp.where(powers > 0, jnp.where(powers > 0, powers, 1.0) ** (1 / order), 0.0)


def distances(x: Array, y: Array, order: float, mode: Any = None) -> Array:
    """The distances (..., N, M) of N vectors from M vectors."""
    return norm(x[..., :, None, :] - y[..., None, :, :], order, -1)


def ordered(x: Array, dim: int = -1, descending: bool = False, stable: bool | None = None) -> tuple[Array, Array]:
    """The values along an axis in order, and their positions."""
    index = jnp.argsort(x, dim, descending=descending)
    return jnp.take_along_axis(x, index, dim), index


def topk(x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Array, Array]:  # noqa: A002
    """The k largest or smallest values along an axis, and their positions."""
    last = jnp.moveaxis(x, dim, -1)
    index = jnp.moveaxis(lax.top_k(last if largest else -last, k)[1], -1, dim)
    return jnp.take_along_axis(x, index, dim), index


def affine_product(add: Array, x: Array, y: Array, beta: float = 1, alpha: float = 1) -> Array:
    """beta * add + alpha * x y, where `add` is left out if beta is 0."""
    product = x @ y if alpha == 1 else alpha * (x @ y)
    return product if beta == 0 else (add if beta == 1 else beta * add) + product


def trilinear(
    x: Array, y: Array, z: Array, expand1: Any, expand2: Any, expand3: Any, sumdim: Any, unroll_dim: int = 1
) -> Array:
    """The sums of the products of three tensors with new axes, over the axes `sumdim` (`nn.Bilinear`)."""
    x, y, z = (jnp.expand_dims(v, tuple(new)) for v, new in ((x, expand1), (y, expand2), (z, expand3)))
    return (x * y * z).sum(tuple(sumdim))


def _axes(dim: Axes) -> tuple[int, ...] | None:
    if dim is None or isinstance(dim, int):
        return None if dim is None else (dim,)
    return tuple(dim) or None


FORMS: dict[str, Callable[..., Any]] = {
    "sum": over(jnp.sum),
    "mean": over(jnp.mean),
    "prod": over(jnp.prod),
    "amax": over(jnp.max),
    "amin": over(jnp.min),
    "max.default": jnp.max,
    "min.default": jnp.min,
    "max.dim": extreme(jnp.argmax),
    "min.dim": extreme(jnp.argmin),
    "argmax": position_of(jnp.argmax),
    "argmin": position_of(jnp.argmin),
    "any": over(jnp.any),
    "all": over(jnp.all),
    "var": variance,
    "std": lambda *arguments, **keywords: root(variance(*arguments, **keywords)),
    "var_mean": lambda x, dim=None, correction=None, keepdim=False: (
        variance(x, dim, correction, keepdim),
        over(jnp.mean)(x, dim, keepdim),
    ),
    "logsumexp": over(jax.nn.logsumexp),
    "cumsum": lambda x, dim, dtype=None: jnp.cumsum(x, dim, dtype),
    "cumprod": lambda x, dim, dtype=None: jnp.cumprod(x, dim, dtype),
    "linalg_vector_norm": norm,
    "_cdist_forward": distances,
    "sort": ordered,
    "sort.stable": lambda x, stable=None, dim=-1, descending=False: ordered(x, dim, descending),
    "topk": topk,
    "mm": jnp.matmul,
    "bmm": jnp.matmul,
    "mv": jnp.matmul,
    "dot": jnp.matmul,
    "vdot": jnp.matmul,
    "addmm": affine_product,
    "baddbmm": affine_product,
    "_trilinear": trilinear,
    "_softmax": lambda x, dim, half_to_float=False: jax.nn.softmax(x, dim),
    "_log_softmax": lambda x, dim, half_to_float=False: jax.nn.log_softmax(x, dim),
}
