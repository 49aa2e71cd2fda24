"""Weights that were saved elsewhere, as arrays over draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.same_architecture import tensors_of
from bnnbench.errors import clean

if TYPE_CHECKING:
    from torch import nn

_PREFIXES = ("module.", "_orig_mod.")
"""What wrappers for parallel and for compiled execution put before every name."""


def are_weights(value: Any) -> bool:
    """Whether a value is a mapping from names to weights, or a list of such mappings."""
    if isinstance(value, Mapping):
        return not (value and all(callable(one) for one in value.values()))
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)


def stacked(
    weights: Mapping[str, Any] | Sequence[Mapping[str, Any]], network: nn.Module
) -> tuple[dict[str, np.ndarray], int]:
    """Arrays (S, *weight) by name, and S, of one or several `state_dict`s of a network.

    A single mapping may hold arrays that have the axis of draws already. Names may have the prefix of a wrapper for
    parallel or compiled execution. Raises `ValueError` for names or shapes of which some differ from the others.
    """
    own = tensors_of(network) or {}
    states = [_own_names(one, own) for one in ([weights] if isinstance(weights, Mapping) else weights)]
    first = states[0]
    if len(states) == 1 and any(np.shape(first[name]) != tuple(own[name].shape) for name in first.keys() & own.keys()):
        draws = {name: as_array(array) for name, array in first.items()}
        sizes = {np.shape(array)[:1] for array in draws.values()}
        if len(sizes) == 1 and sizes != {()}:
            return draws, sizes.pop()[0]
    for number, state in enumerate(states):
        _check(state, number, first, own)
    return {name: np.stack([as_array(state[name]) for state in states]) for name in first}, len(states)


def as_array(array: Any) -> np.ndarray:
    """A weight as a numpy array; half precision becomes float32."""
    import torch

    if not isinstance(array, torch.Tensor):
        return np.asarray(array)
    value = array.detach()
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).cpu().numpy()


def _own_names(state: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `state_dict` without the prefix of a wrapper. Raises `ValueError` for a checkpoint that holds one."""
    for name, value in state.items():
        if isinstance(value, Mapping):
            raise ValueError(f"the mapping holds weights under the name {name!r}, among others: pass that part of it")
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) and name not in own for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _check(state: Mapping[str, Any], number: int, first: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a `state_dict` has other names than the first, or other shapes than the network."""
    if state.keys() != first.keys():
        odd = clean(", ".join(sorted(map(str, state.keys() ^ first.keys()))))
        raise ValueError(f"state_dict {number} does not have the names of state_dict 0: {odd}")
    for name, array in state.items():
        if name in own and np.shape(array) != tuple(own[name].shape):
            meant = tuple(own[name].shape)
            raise ValueError(
                f"state_dict {number}: {clean(name)} has shape {tuple(np.shape(array))}, the network's weight {meant}"
            )
