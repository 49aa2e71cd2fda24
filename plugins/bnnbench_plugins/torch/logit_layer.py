"""The last linear layer of a network, whose outputs are its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnnbench import Incompatible
from bnnbench_plugins.torch.linear_layers import linear_layers_used_once

_TOGETHER = 1000
"""The largest number of inputs that are evaluated together."""


def last_linear_layer(network: nn.Module, x: Tensor) -> str:
    """The name of the layer of class `nn.Linear` whose outputs are the logits of the network, in eval mode.

    Its weights enter the logits of each of the inputs x (N, *shape) exactly once, and its outputs have the softmax of
    the network's outputs at x. So a network that ends in a log-softmax has one too. Raises `Incompatible` if there is
    none.
    """
    names = {layer: name for name, layer in network.named_modules()}
    outputs: dict[nn.Module, Tensor] = {}
    with torch.enable_grad():
        layers = linear_layers_used_once(network, x)
    hooks = [layer.register_forward_hook(lambda one, _, output: outputs.update({one: output})) for layer in layers]
    try:
        with torch.no_grad():
            logits = network(x).log_softmax(-1)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, output in outputs.items():
        if output.shape == logits.shape and torch.allclose(output.log_softmax(-1), logits, rtol=1e-5, atol=1e-6):
            return names[layer]
    raise Incompatible(
        f"the logits of {type(network).__name__} are not the outputs of a linear layer (torch.nn.Linear) whose weights "
        "are used once: it has no last layer that could be taken by itself"
    )


@torch.no_grad()
def features(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """What enters a layer that is called once (N, features), at inputs x (N, *shape)."""
    entered: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        entered.append(inputs[0])

    hook = network.get_submodule(layer).register_forward_pre_hook(record)
    try:
        for part in x.split(_TOGETHER):
            network(part)
    finally:
        hook.remove()
    return torch.cat(entered)
