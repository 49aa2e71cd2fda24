"""Fit draws to a network, and make a network for each draw."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.draws import Draws
from bnnbench.core.fixed_function import MIXED
from bnnbench.core.network_outputs import checked_logits

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


def fast_layouts(network: nn.Module, draws: dict[str, Tensor], shared: dict[str, Tensor]) -> dict[str, Tensor]:
    """The draws of two-dimensional convolutions in the memory layout that is fastest on a CPU, with the same values.

    With channels last, torch uses kernels that are up to twice as fast. Then outputs have that layout too, and `view`
    after a convolution fails, and `as_strided` reads other values. So a draw in this layout is tried on inputs of the
    shape that the network was built for. The result is empty if the trial fails or gives other values, if the shape is
    not known, or if there is no such convolution.
    """
    import torch

    shape = shape_of(network)
    if shape is None or not any(_is_convolution(weight) for weight in draws.values()):
        return {}
    fast = {name: _channels_last(weight) for name, weight in draws.items() if _is_convolution(weight)}
    inputs = torch.linspace(0, 1, 2 * math.prod(shape), dtype=next(iter(fast.values())).dtype).view(2, *shape)

    def outputs(weights: Mapping[str, Tensor]) -> Tensor:
        first = {name: weight[0] for name, weight in weights.items()}
        return checked_logits(with_weights(network, shared | first)(inputs.clone()), network, 2)

    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            values, own = outputs(draws | fast), outputs(draws)
    except Exception:  # noqa: BLE001 - a network may raise anything; its own layout is then kept
        return {}
    same = torch.allclose(values, own, rtol=MIXED, atol=MIXED * float(own.abs().max()), equal_nan=True)
    return fast if same else {}


def shape_of(network: nn.Module) -> tuple[int, ...] | None:
    """The shape of an input that a network was built or fitted for; None if it is not known."""
    shape = getattr(network, "bnnbench_shape", None)
    if shape is None and (recipe := getattr(network, "bnnbench_recipe", None)):
        shape = recipe[1]
    return None if shape is None else tuple(shape)


def _is_convolution(draws: Tensor) -> bool:
    return draws.ndim == 5 and draws.device.type == "cpu"


def _channels_last(draws: Tensor) -> Tensor:
    """Draws (S, outputs, channels, height, width) with channels last in memory; the values are the same."""
    import torch

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
