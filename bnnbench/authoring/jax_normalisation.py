"""JAX forms of torch's group normalisation, as `bnnbench.authoring.jax_layers` describes such forms."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from torch import nn

from bnnbench.authoring.jax_layers import Get


def group_norm(
    input: Array,  # noqa: A002 - torch's name
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Inputs (N, channels, ...) with groups of channels normalised to mean 0 and variance 1, image by image."""
    grouped = input.reshape(len(input), num_groups, -1)
    centred = grouped - grouped.mean(-1, keepdims=True)
    out = (centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + eps)).reshape(input.shape)
    shape = (-1, *[1] * (input.ndim - 2))
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


def group_norm_module(layer: nn.GroupNorm, get: Get, x: Array) -> Array:
    """The output of a layer `nn.GroupNorm`."""
    weight, bias = (get(name) if getattr(layer, name) is not None else None for name in ("weight", "bias"))
    return group_norm(x, layer.num_groups, weight, bias, layer.eps)
