"""Fit draws to a network, and make a network for each draw."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.draws import Draws

if TYPE_CHECKING:
    from torch import Tensor, nn


def first_names_only(network: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with each tied weight under its first name only.

    Raises `ValueError` if the draws of a tied weight differ between its names.
    """
    first_names: dict[int, str] = {}
    kept = dict(arrays)
    for name, weight in network.named_parameters(remove_duplicate=False):
        first = first_names.setdefault(id(weight), name)
        if first != name and name in kept and first in kept:
            if not np.array_equal(kept[name], kept[first]):
                raise ValueError(f"{first} and {name} are one weight of the network, but their draws differ")
            del kept[name]
    return kept


def fast_layout(draws: Tensor) -> Tensor:
    """Draws (S, *weight) in the memory layout that is fastest to evaluate; the values are the same.

    Weights of two-dimensional convolutions on a CPU are laid out with channels last: torch then uses kernels that are
    up to twice as fast. All others stay as they are.
    """
    import torch

    if draws.ndim != 5 or draws.device.type != "cpu":
        return draws
    _, outputs, channels, height, width = draws.shape
    # The strides are given in full, because with one channel both layouts hold the same bytes and torch looks only at
    # the strides.
    strides = (outputs * channels * height * width, channels * height * width, 1, width * channels, channels)
    return torch.empty_strided(draws.shape, strides, dtype=draws.dtype).copy_(draws)


def with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the network that uses the given weights and buffers instead of its own. No tensor is copied.

    With a module for each draw, no weights are swapped at a call. This is faster, and safe if several threads call.
    """
    from torch import Tensor, nn

    copies: dict[int, Any] = {}
    for module in network.modules():
        copies |= {id(value): value for value in vars(module).values() if isinstance(value, Tensor | np.ndarray)}
    copies |= {id(buffer): buffer for buffer in network.buffers()}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if name in weights:
            copies[id(parameter)] = nn.Parameter(weights[name], requires_grad=False)
    for name, buffer in network.named_buffers(remove_duplicate=False):
        if name in weights:
            copies[id(buffer)] = weights[name]
    return copy.deepcopy(network, copies)


def check_names(network: nn.Module, draws: Draws) -> None:
    """Raise `ValueError` unless the draws have the names and shapes of the network's weights and buffers."""
    state = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: array.shape[2:] for name, array in draws.arrays.items()}
    given |= {name: array.shape for name, array in draws.shared.items()}
    unknown = sorted(given.keys() - state.keys())
    if unknown:
        names = ", ".join(state)
        raise ValueError(f"draws of {', '.join(unknown)}, which the network does not have: its weights are {names}")
    missing = sorted(dict(network.named_parameters()).keys() - given.keys())
    if missing:
        raise ValueError(f"no draws of the network's weights {', '.join(missing)}")
    for name, shape in given.items():
        if shape != state[name]:
            raise ValueError(f"draws of {name} have shape {shape}, the network's weight {state[name]}")
