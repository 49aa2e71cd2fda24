"""Load data and build networks under the core's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnnbench.core import dataset as datasets
from bnnbench.core.dataset import Data, Dataset
from bnnbench.core.network import Network
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.core.rules.purity import global_state
from bnnbench.core.standard_settings import standard_settings
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach, PluginError
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    import torch
    from torch import nn


def loaded(dataset: Dataset, seed: int) -> Data:
    """The data of a data set at a seed (uint32).

    Raises `ContractBreach` if it returns something else than `Data`, draws from a global random state, or changes a
    setting of the process.
    """
    with standard_settings(), global_state(datasets.name_of(dataset)):
        data = dataset.load(seed)
    if not isinstance(data, Data):
        raise ContractBreach(f"{datasets.name_of(dataset)} loaded no Data")
    return data


def built(network: Network, data: Data, device: str = "auto") -> nn.Module:
    """The template that a network builds for the data, in eval mode on the device (`prepared`).

    Raises `ContractBreach` if `build` draws from a global random state or changes a setting of the process,
    `PluginError` if it returns no `torch.nn.Module`.
    """
    from torch import nn

    name = f"network {name_in_messages(type(network))}"
    with standard_settings(), global_state(name):
        module = network.build(data)
    if not isinstance(module, nn.Module):
        raise PluginError(f"{name} built {type(module).__name__}, not a torch.nn.Module")
    return prepared(module, device)


def prepared(network: nn.Module, device: str = "auto") -> nn.Module:
    """A copy of the network in eval mode on a device: a torch device, or `auto` for CUDA where there is one.

    Raises `NetworkError` if the network cannot be copied, `TypeError` or `ValueError` for another device than those
    that torch has here.
    """
    place = _device(device)
    with standard_settings():
        return in_eval_mode(copied(network)).to(place)


def _device(device: Any) -> torch.device:
    """A device of torch, on which a tensor can be made. Raises `TypeError` or `ValueError` for anything else."""
    import torch

    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    meant = "auto, cpu, cuda or a numbered device such as cuda:0"
    if not isinstance(device, str | torch.device):
        raise TypeError(f"device is {meant}, not {described(device)}")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device is {meant}, not {described(device)}") from None
    if place.type == "meta":
        raise ValueError(f"device is {meant}, not {described(device)}, which holds no numbers")
    try:
        torch.zeros(1, device=place)
    except Exception as error:  # torch raises errors of several kinds for devices that are not there.
        reason = "" if torch.cuda.is_available() else "; torch finds no CUDA device here"
        raise ValueError(f"device is {str(device)!r}, which torch cannot use{reason}") from error
    return place
