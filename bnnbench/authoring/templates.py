"""Start a fit from the template of a network, and keep its buffers with the draws.

A posterior is given a template: a network whose weights must be neither used nor changed. For example:

    def fit(self, network, data, *, seed, progress):
        trained = fresh_network(network, seed)
        ...
        arrays = {name: weight[None, None] for name, weight in trained.named_parameters()}
        return Draws(arrays, shared=kept_buffers(trained))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.network import initialise
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.errors import Incompatible

if TYPE_CHECKING:
    from torch import Tensor, nn


def fresh_network(template: nn.Module, seed: int) -> nn.Module:
    """A copy of the template in eval mode, in float32, with weights and buffers drawn anew from the seed (uint32).

    All parameters have `requires_grad=True`. Raises `Incompatible` if the template has no parameters.
    """
    network = in_eval_mode(initialise(copied(template).float(), seed)).requires_grad_(True)
    if next(network.parameters(), None) is None:
        raise Incompatible("the network has no parameters to fit")
    return network


def kept_buffers(network: nn.Module) -> dict[str, Tensor]:
    """The persistent buffers of a network by their `state_dict` names, such as the statistics of batch norm.

    They are the `shared` arrays of the `Draws` of its weights.
    """
    state = network.state_dict()
    return {name: buffer for name, buffer in network.named_buffers() if name in state}
