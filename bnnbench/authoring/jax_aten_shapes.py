"""JAX forms of torch's ATen operations that make, move and select numbers, as `jax_aten_tables` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from bnnbench.errors import Incompatible


def squeeze(x: Array, dim: Any = None) -> Array:
    """x without its axes of length one; with `dim`, without those of these axes that have length one."""
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return jnp.squeeze(x, tuple(axis % x.ndim for axis in axes if x.shape[axis] == 1))


def expand(x: Array, size: Sequence[int], implicit: bool = False) -> Array:
    """x repeated along its axes of length one, and along new first axes; -1 keeps an axis."""
    own = [1] * (len(size) - x.ndim) + list(x.shape)
    return jnp.broadcast_to(x, [old if new == -1 else new for old, new in zip(own, size, strict=True)])


def window(x: Array, dim: int, start: int | None, end: int | None, step: int) -> tuple[slice, ...]:
    """The index that selects positions `start` to `end`, the latter excluded, of one axis."""
    return (*[slice(None)] * (dim % x.ndim), slice(start, end, step))


def cut(x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Array:
    """The positions `start` to `end`, the latter excluded, of one axis."""
    return x[window(x, dim, start, end, step)]


def with_cut(
    x: Array, source: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    """x with other values at the positions `start` to `end`, the latter excluded, of one axis."""
    return x.at[window(x, dim, start, end, step)].set(source)


def with_selected(x: Array, source: Array, dim: int, index: int) -> Array:
    """x with other values at one position of an axis."""
    return x.at[(*[slice(None)] * (dim % x.ndim), index)].set(source)


def split(x: Array, sizes: Sequence[int], dim: int = 0) -> list[Array]:
    """Parts of the given sizes along an axis."""
    ends = [sum(sizes[: part + 1]) for part in range(len(sizes))]
    return [cut(x, dim, end - size, end) for end, size in zip(ends, sizes, strict=True)]


def indexed(x: Array, indices: Sequence[Any]) -> Array:
    """The elements at tensors of positions, one for each axis; None keeps an axis."""
    return x[_positions(indices)]


def with_indexed(x: Array, indices: Sequence[Any], values: Array, accumulate: bool = False) -> Array:
    """x with other values at such positions, or with these added to its own; one value may fill a mask."""
    if len(indices) == 1 and indices[0].dtype == bool and values.size == 1 and not accumulate:
        mask = indices[0].reshape(indices[0].shape + (1,) * (x.ndim - indices[0].ndim))
        return jnp.where(mask, values.reshape(()), x)
    at = x.at[_positions(indices)]
    return at.add(values) if accumulate else at.set(values)


def along(x: Array, dim: int, index: Array) -> tuple[Array, ...]:
    """The positions in x for `gather` and `scatter`: those of `index` itself, but its values along the axis `dim`."""
    grid = list(jnp.indices(index.shape, sparse=True))
    grid[dim % x.ndim] = index
    return tuple(grid)


def scatter(x: Array, dim: int, index: Array, source: Any, reduce: str | None = None) -> Array:
    """x with the values of `source` at the positions `index` along an axis, or with them added or multiplied."""
    at = x.at[along(x, dim, index)]
    values = source[tuple(slice(length) for length in index.shape)] if isinstance(source, Array) else source
    return {None: at.set, "add": at.add, "multiply": at.multiply}[reduce](values)


def windows(x: Array, dim: int, size: int, step: int) -> Array:
    """The windows of an axis, as its positions; their elements are a new last axis."""
    starts = jnp.arange(0, x.shape[dim] - size + 1, step)
    parts = jnp.take(x, starts[:, None] + jnp.arange(size), dim % x.ndim)
    return jnp.moveaxis(parts, dim % x.ndim + 1, -1)


def concatenated(tensors: Sequence[Array], dim: int = 0) -> Array:
    """Tensors one after the other along an axis. Empty vectors are left out, as torch does."""
    return jnp.concatenate([tensor for tensor in tensors if tensor.shape != (0,)], dim)


def padded(x: Array, pad: Sequence[int], value: float = 0.0) -> Array:
    """x with a constant before and after its last axes; negative lengths cut off."""
    sides = [(pad[i], pad[i + 1], 0) for i in range(0, len(pad), 2)]
    return lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0)] * (x.ndim - len(sides)) + sides[::-1])


def embedding(weight: Array, indices: Array, padding_idx: int = -1, *unused: Any) -> Array:
    """The rows of a table at indices; that of the padding has no gradient."""
    if padding_idx >= 0:
        weight = weight.at[padding_idx].set(lax.stop_gradient(weight[padding_idx]))
    return weight[indices]


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Array:
    """The numbers from `start` (or 0, if only one is given) to `end`, the latter excluded."""
    return jnp.arange(start, end, step, dtype)


def _positions(indices: Sequence[Any]) -> tuple[Any, ...]:
    if any(index is not None and index.dtype == bool for index in indices):
        raise Incompatible("a mask selects a number of elements that depends on values; torch.where keeps all of them")
    return tuple(slice(None) if index is None else index for index in indices)


FORMS: dict[str, Callable[..., Any]] = {
    "alias": lambda x: x,
    "clone": lambda x: x,
    "lift_fresh_copy": lambda x: x,
    "stop_gradient": lax.stop_gradient,  # by which `jax_aten` marks what is detached
    "_to_copy": lambda x, dtype=None: x if dtype is None else x.astype(dtype),
    "copy": lambda x, source: jnp.broadcast_to(source, x.shape).astype(x.dtype),
    "view": lambda x, size: x.reshape(size),
    "_unsafe_view": lambda x, size: x.reshape(size),
    "permute": lambda x, dims: jnp.transpose(x, dims),
    "transpose": jnp.swapaxes,
    "t": lambda x: x.T,
    "unsqueeze": lambda x, dim: jnp.expand_dims(x, dim),
    "squeeze": squeeze,
    "expand": expand,
    "repeat": lambda x, repeats: jnp.tile(x, repeats),
    "flip": lambda x, dims: jnp.flip(x, dims),
    "cat": concatenated,
    "stack": lambda tensors, dim=0: jnp.stack(tensors, dim),
    "split_with_sizes": split,
    "slice": cut,
    "slice_scatter": with_cut,
    "select": lambda x, dim, index: lax.index_in_dim(x, index, dim, keepdims=False),
    "select_scatter": with_selected,
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: jnp.diagonal(x, offset, dim1, dim2),
    "index": indexed,
    "_unsafe_index": indexed,
    "index_put": with_indexed,
    "index_select": lambda x, dim, index: jnp.take(x, index, dim),
    "gather": lambda x, dim, index, sparse_grad=False: x[along(x, dim, index)],
    "scatter": scatter,
    "scatter_add": lambda x, dim, index, source: scatter(x, dim, index, source, "add"),
    "unfold": windows,
    "embedding": embedding,
    "constant_pad_nd": padded,
    "full": lambda size, value, dtype=None: jnp.full(size, value, dtype),
    "full_like": lambda x, value, dtype=None: jnp.full_like(x, value, dtype),
    "empty": lambda size, dtype=None: jnp.zeros(size, dtype),
    "empty_permuted": lambda size, layout, dtype=None: jnp.zeros(size, dtype),
    "scalar_tensor": lambda value, dtype=None: jnp.asarray(value, dtype),
    "arange": arange,
    "eye": lambda rows, columns=None, dtype=None: jnp.eye(rows, columns, dtype=dtype),
}
