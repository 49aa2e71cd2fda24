"""What every method makes of the template that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench import Incompatible, initialise

if TYPE_CHECKING:
    from torch import Tensor, nn


def fresh_network(template: nn.Module, seed: int) -> nn.Module:
    """A copy of the template in eval mode, in float32, weights and buffers drawn from the seed; all weights train.

    Raises `Incompatible` if the template has no parameters.
    """
    network = initialise(template, seed).float().eval().requires_grad_(True)
    if next(network.parameters(), None) is None:
        raise Incompatible("the network has no parameters to fit")
    return network


def kept_buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the network's `state_dict`, by their names there."""
    state = network.state_dict()
    return {name: buffer for name, buffer in network.named_buffers() if name in state}
