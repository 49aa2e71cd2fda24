"""Whether modules differ in their weights alone, so that one of them with the others' weights stands for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

_WITHOUT_EFFECT = frozenset(
    ["training", "_parameters", "_buffers", "_modules", "_compiled_call_impl", "_is_torch_compile", "__overloads__"]
)
"""Attributes of modules that are compared elsewhere, or that torch sets when it compiles, scripts or traces one."""
_COMPARED = frozenset([bool, int, float, complex, str, bytes, slice])
"""The classes whose `==` is believed, beside those of torch's dtypes and devices."""


def weights_alone_differ(one: nn.Module, other: nn.Module) -> bool:
    """Whether one module with the `state_dict` of the other provably is the other.

    Submodules must have the same names and classes, in the same order, since a container calls them in order. Their
    plain attributes must be equal: an activation that is an attribute, a stride, a buffer that is not in the
    `state_dict`. What cannot be compared counts as different.
    """
    ones, others = dict(one.named_modules()), dict(other.named_modules())
    if list(ones) != list(others):
        return False
    if not all(type(ones[name]) is type(others[name]) and _alike(ones[name], others[name]) for name in ones):
        return False
    if [name for name, _ in one.named_parameters()] != [name for name, _ in other.named_parameters()]:
        return False  # One of them uses a weight twice.
    state, others_state = tensors_of(one), tensors_of(other)
    if state is None or others_state is None or state.keys() != others_state.keys():
        return False
    return all(
        tensor.shape == others_state[name].shape and tensor.dtype == others_state[name].dtype
        for name, tensor in state.items()
    )


def can_be_stacked(module: nn.Module) -> bool:
    """Whether copies of a module can take other weights: it has some, and is made of plain Python modules.

    A TorchScript module keeps its weights out of Python's reach.
    """
    return not is_scripted(module) and bool(tensors_of(module))


def is_scripted(module: nn.Module) -> bool:
    """Whether a module is, or has a part, in TorchScript."""
    import torch

    return any(isinstance(part, torch.jit.ScriptModule) for part in module.modules())


def tensors_of(module: nn.Module) -> dict[str, Tensor] | None:
    """The tensors of a module's `state_dict` by name; None if something else stands there, as in a quantised module."""
    import torch

    state = module.state_dict()
    return dict(state) if all(isinstance(value, torch.Tensor) for value in state.values()) else None


def _alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules of one class have equal attributes, apart from their weights and submodules."""
    try:
        return _equal(_attributes(one), _attributes(other)) and _equal(_hidden(one), _hidden(other))
    except RecursionError:  # An attribute may hold itself.
        return False


def _attributes(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that its outputs may depend on, apart from its weights and submodules."""
    return {name: value for name, value in vars(module).items() if name not in _WITHOUT_EFFECT}


def _hidden(module: nn.Module) -> dict[str, Any]:
    """The buffers of a module that are not in its `state_dict`."""
    return {name: module._buffers.get(name) for name in module._non_persistent_buffers_set}


class _Plain:
    """An object whose state is its `__dict__`."""


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are equal, as far as can be told; arrays, containers and plain objects by their content.

    The order of mappings counts. The `==` of a class is not asked, because it may leave out what outputs depend on.
    """
    import torch

    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.shape == other.shape and one.device == other.device and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if _is_compared(one):
        return bool(one == other)
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(_is_compared(value) and value in other for value in one)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, Sequence):
        return len(one) == len(other) and all(map(_equal, one, other))
    if type(one).__basicsize__ == _Plain.__basicsize__ and hasattr(one, "__dict__"):
        return _equal(vars(one), vars(other))
    return False


def _is_compared(value: Any) -> bool:
    """Whether the `==` of a value is believed."""
    import torch

    return type(value) in _COMPARED or isinstance(value, torch.dtype | torch.device)
