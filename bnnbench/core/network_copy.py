"""Copies of networks, and their modes."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

from bnnbench.core.network_outputs import named
from bnnbench.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn


def copied(network: nn.Module) -> nn.Module:
    """A deep copy of a network.

    Raises `NetworkError` if it cannot be copied. The message names the attribute that cannot.
    """
    from torch import nn

    if not isinstance(network, nn.Module):
        raise TypeError(f"a network is a torch.nn.Module, not {type(network).__name__}")
    check_weights(network)
    try:
        return copy.deepcopy(network)
    except Exception as error:
        raise NetworkError(f"{named(network)} cannot be copied: {_culprit(network, error)}") from error


def check_weights(network: nn.Module) -> None:
    """Raise `NetworkError` if weights or buffers of a network have no sizes, or no numbers. The layer is named."""
    from torch.nn.parameter import is_lazy

    for name, layer in network.named_modules():
        for value in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            if is_lazy(value):
                reason = "has no sizes yet; give them, or call the network once on inputs"
            elif value.is_meta:
                reason = "is on the meta device, where weights have no values; build it on the CPU, or load its weights"
            else:
                continue
            place = f"layer '{name}' ({type(layer).__name__})" if name else "it"
            raise NetworkError(f"{named(network)} cannot be copied: {place} {reason}")


def in_eval_mode(network: nn.Module) -> nn.Module:
    """The same network, with all its modules in eval mode.

    A module's own `train` method is not called: it may be a training loop.
    """
    for module in network.modules():
        module.training = False
    return network


def in_train_mode(network: nn.Module) -> nn.Module:
    """The same network, in the mode in which it is trained: batch norm gathers statistics, and dropout acts.

    A `train` method that takes the mode alone is called, since it may keep some layers in eval mode. A method of that
    name with other arguments is a training loop and is not called.
    """
    from torch import nn

    own = type(network).train is not nn.Module.train
    if own and _takes_a_mode(network.train):
        network.train(True)
        return network
    network.training = True
    for child in network.children():
        in_train_mode(child)
    return network


def _takes_a_mode(train: Any) -> bool:
    """Whether a method `train` can be called with the mode, and needs nothing else."""
    try:
        parameters = list(inspect.signature(train).parameters.values())
        inspect.signature(train).bind(True)
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0].name == "mode"


def _culprit(network: nn.Module, error: Exception) -> str:
    """The attribute that cannot be copied, with the error that it raises."""
    for name, module in network.named_modules():
        for attribute, value in vars(module).items():
            if attribute in ("_modules", "_parameters", "_buffers"):
                continue
            try:
                copy.deepcopy(value)
            except Exception as own:  # noqa: BLE001 - any object may raise anything
                place = f"{name}.{attribute}" if name else attribute
                hint = ""
                if "graph leaves" in str(own):
                    hint = "; torch.nn.utils.parametrizations has forms of weight_norm and spectral_norm that can be"
                reason = str(own).partition(". ")[0].partition("\n")[0]
                return f"'{place}' ({type(value).__name__}) of {type(module).__name__}: {reason}{hint}"
    return f"{type(error).__name__}: {error}"
