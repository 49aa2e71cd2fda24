"""JAX forms of torch's recurrent layers, as `bnnbench.authoring.jax_layers` describes such forms.

Time is a loop of the compiled program, so that the time to compile does not grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from torch import nn

from bnnbench.authoring.jax_layers import Get
from bnnbench.errors import Incompatible

Carry = tuple[Array, ...]
"""The state of a layer between two steps: h, and c of an LSTM."""


def _lstm(inner: Array, hidden: Array, state: Carry) -> Carry:
    enter, forget, cell, leave = jnp.split(inner + hidden, 4, -1)
    c = jax.nn.sigmoid(forget) * state[1] + jax.nn.sigmoid(enter) * jnp.tanh(cell)
    return jax.nn.sigmoid(leave) * jnp.tanh(c), c


def _gru(inner: Array, hidden: Array, state: Carry) -> Carry:
    (reset, update, new), (reset_h, update_h, new_h) = jnp.split(inner, 3, -1), jnp.split(hidden, 3, -1)
    candidate = jnp.tanh(new + jax.nn.sigmoid(reset + reset_h) * new_h)
    kept = jax.nn.sigmoid(update + update_h)
    return ((1 - kept) * candidate + kept * state[0],)


STEPS: dict[str, Callable[[Array, Array, Carry], Carry]] = {
    "LSTM": _lstm,
    "GRU": _gru,
    "RNN_TANH": lambda inner, hidden, state: (jnp.tanh(inner + hidden),),
    "RNN_RELU": lambda inner, hidden, state: (jax.nn.relu(inner + hidden),),
}
"""The next state of each kind of layer, from what it makes of its input and of its state, and from the state."""


def recurrent_module(layer: nn.RNNBase, get: Get, x: Array, hx: Any = None) -> tuple[Array, Any]:
    """The outputs of a layer `nn.LSTM`, `nn.GRU` or `nn.RNN` at all steps, and its last state."""
    if x.ndim != 3 or layer.proj_size:
        raise Incompatible(f"no JAX form of {type(layer).__name__} without an axis of images, or with proj_size")
    x = x.swapaxes(0, 1) if layer.batch_first else x
    directions, parts = 1 + layer.bidirectional, 2 if layer.mode == "LSTM" else 1
    count = layer.num_layers * directions
    zeros = jnp.zeros((count, x.shape[1], layer.hidden_size), x.dtype)
    starts = (zeros,) * parts if hx is None else hx if parts == 2 else (hx,)
    ends: list[Carry] = []
    for level in range(layer.num_layers):
        outputs = []
        for direction in range(directions):
            state = tuple(start[len(ends)] for start in starts)
            suffix = f"_l{level}" + "_reverse" * direction
            end, out = _sweep(layer, get, suffix, x, state)
            ends.append(end)
            outputs.append(out)
        x = jnp.concatenate(outputs, -1)
    last = tuple(jnp.stack(part) for part in zip(*ends, strict=True))
    return x.swapaxes(0, 1) if layer.batch_first else x, last if parts == 2 else last[0]


def _sweep(layer: nn.RNNBase, get: Get, suffix: str, x: Array, state: Carry) -> tuple[Carry, Array]:
    """The last state and the outputs (steps, images, units) of one direction, whose tensors' names have this end."""

    def affine(kind: str, inputs: Array) -> Array:
        product = inputs @ get(f"weight_{kind}{suffix}").T
        return product + get(f"bias_{kind}{suffix}") if layer.bias else product

    def advance(state: Carry, inner: Array) -> tuple[Carry, Array]:
        state = STEPS[layer.mode](inner, affine("hh", state[0]), state)
        return state, state[0]

    end, outputs = lax.scan(advance, state, affine("ih", x), reverse=suffix.endswith("reverse"))
    return end, outputs
