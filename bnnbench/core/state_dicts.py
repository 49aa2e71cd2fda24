"""Weights that were saved elsewhere, as arrays over draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.arguments import instance_of
from bnnbench.core.arrays import array_of, dense
from bnnbench.core.draws import Draws, as_numpy
from bnnbench.core.same_architecture import tensors_of
from bnnbench.errors import clean
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import nn

SHOWN = 4
"""The largest number of names that a message lists."""
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
    _check_names(first, own, dict(network.named_parameters()))
    if len(states) == 1 and any(_shape(first[name]) != tuple(own[name].shape) for name in first.keys() & own.keys()):
        draws = {name: as_array(array) for name, array in first.items()}
        sizes = {array.shape[:1] for array in draws.values()}
        if len(sizes) == 1 and sizes != {()}:
            return draws, sizes.pop()[0]
    for number, state in enumerate(states):
        _check(state, number, first, own)
    return {name: np.stack([as_array(state[name]) for state in states]) for name in first}, len(states)


def as_draws(given: Any, network: Any) -> Draws:
    """`Draws` as they are, or those of a mapping from names to arrays (S, *weight).

    Raises `TypeError` for anything else, and if the network is no module; `ValueError` for a `state_dict` of the
    network, which has no axis of draws.
    """
    from torch import nn

    instance_of(network, nn.Module, argument="network", meant="a torch.nn.Module")
    if isinstance(given, Draws):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(
            f"draws are a mapping from names to arrays (S, *weight), not {described(given)}; "
            "bnnbench.predictive(state_dicts, network=network) is the predictive of a list of state_dicts"
        )
    shapes = {name: tuple(np.shape(value)) for name, value in network.state_dict().items()}
    if given and all(shapes.get(name) == _shape(array) for name, array in given.items()):
        raise ValueError(
            "draws have arrays (S, *weight), and these have no axis of draws; "
            "bnnbench.predictive(state_dict, network=network) is the predictive of one state_dict"
        )
    return Draws({name: as_numpy(array, name)[None] for name, array in given.items()})


def as_array(array: Any) -> np.ndarray:
    """A weight as a numpy array; half precision becomes float32."""
    import torch

    if not isinstance(array, torch.Tensor):
        return array_of(array, "weights")
    value = dense(array, "weights")
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).cpu().numpy()


def _shape(array: Any) -> tuple[int, ...]:
    """The shape of a weight, which may be a list of tensors, of which numpy cannot tell it."""
    return tuple(np.shape(array if hasattr(array, "shape") else as_array(array)))


def _own_names(state: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `state_dict` without the prefix of a wrapper.

    Raises `ValueError` for a checkpoint that holds one, and `TypeError` for names that are no texts.
    """
    for name, value in state.items():
        if not isinstance(name, str):
            raise TypeError(f"a state_dict maps names to weights, and {described(name)} is no name")
        if isinstance(value, Mapping):
            raise ValueError(f"the mapping holds weights under the name {name!r}, among others: pass that part of it")
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) and name not in own for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _check_names(state: Mapping[str, Any], own: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a `state_dict` has names that are not the network's, or lacks some of its weights."""
    unknown, missing = [name for name in state if name not in own], [name for name in needed if name not in state]
    if unknown or missing:
        parts = [f"it lacks {_listed(missing)}"] * bool(missing) + [f"the network has no {_listed(unknown)}"] * bool(
            unknown
        )
        raise ValueError(f"the state_dict is not one of this network: {' and '.join(parts)}")


def _listed(names: Sequence[str]) -> str:
    """The first names of several, and the number of the rest."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return clean(", ".join(names[:SHOWN])) + more


def _check(state: Mapping[str, Any], number: int, first: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a `state_dict` has other names than the first, or other shapes than the network."""
    if state.keys() != first.keys():
        odd = _listed(sorted(map(str, state.keys() ^ first.keys())))
        raise ValueError(f"state_dict {number} does not have the names of state_dict 0: {odd}")
    for name, array in state.items():
        if name in own and _shape(array) != tuple(own[name].shape):
            meant = tuple(own[name].shape)
            raise ValueError(
                f"state_dict {number}: {clean(name)} has shape {_shape(array)}, the network's weight {meant}"
            )
