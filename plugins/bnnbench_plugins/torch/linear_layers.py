"""Find the linear layers of a network whose outputs can be sampled instead of their weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from torch import Tensor, nn


def linear_layers_used_once(network: nn.Module, x: Tensor) -> list[nn.Linear]:
    """The layers of class `nn.Linear` whose weights enter the logits of each input exactly once.

    In one forward pass on the inputs x (N, *shape), such a layer is called once, with one argument of shape
    (N, features), and no other operation uses its weight or bias. If its weights are independent normal variables, then
    so are its outputs at one input. This does not hold for a layer that is applied twice, or at several positions of
    one input: its outputs share weights. Subclasses of `nn.Linear` are left out, since they may compute something else.
    """
    layers = [layer for layer in network.modules() if type(layer) is nn.Linear]
    calls: dict[nn.Module, list[bool]] = defaultdict(list)

    def record_call(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        calls[layer].append(len(inputs) == 1 and inputs[0].ndim == 2 and len(inputs[0]) == len(x))

    hooks = [layer.register_forward_hook(record_call) for layer in layers]
    try:
        uses = _uses(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    return [
        layer for layer in layers if calls[layer] == [True] and all(uses[weight] == 1 for weight in weights_of(layer))
    ]


def weights_of(layer: nn.Linear) -> list[Tensor]:
    """The layer's weight, and its bias if it has one."""
    return [layer.weight] if layer.bias is None else [layer.weight, layer.bias]


def _uses(output: Tensor) -> Counter[Tensor]:
    """The number of operations in the autograd graph of the output that take each leaf tensor."""
    uses: Counter[Tensor] = Counter()
    visited, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        for earlier, _ in node.next_functions:
            leaf = getattr(earlier, "variable", None)
            if leaf is None:
                waiting.append(earlier)
            else:
                uses[leaf] += 1
    return uses
