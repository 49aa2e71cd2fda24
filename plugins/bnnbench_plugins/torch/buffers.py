"""What a network keeps beside its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def kept_buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the network's `state_dict`, by their names there."""
    state = network.state_dict()
    return {name: buffer for name, buffer in network.named_buffers() if name in state}
