"""Load data and build networks under the core's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core import dataset as datasets
from bnnbench.core.dataset import Data, Dataset
from bnnbench.core.local_modules import name_in_messages
from bnnbench.core.network import Network
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.core.rules.purity import global_state
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import ContractBreach, PluginError

if TYPE_CHECKING:
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

    Raises `NetworkError` if the network cannot be copied.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with standard_settings():
        return in_eval_mode(copied(network)).to(device)
