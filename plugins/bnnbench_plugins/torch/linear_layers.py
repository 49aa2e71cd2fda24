"""Which linear layers of a network can have their outputs sampled instead of their weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from torch import Tensor, nn


def linear_layers_used_once(network: nn.Module, x: Tensor) -> list[nn.Linear]:
    """The plain linear layers whose weights enter the logits of each input exactly once.

    In one forward pass on the inputs x (N, *shape) such a layer is called once, with one argument of shape
    (N, features), and no other operation uses its weight or bias. Then the layer's outputs at one input are independent
    normals if its weights are. The outputs of a layer applied twice, or at several positions of one input, share
    weights; a layer whose class or weights were altered may compute something else.
    """
    layers = [layer for layer in network.modules() if type(layer) is nn.Linear]
    calls: dict[nn.Module, list[bool]] = defaultdict(list)

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        calls[layer].append(len(inputs) == 1 and inputs[0].ndim == 2 and len(inputs[0]) == len(x))

    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        uses = _uses(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    return [layer for layer in layers if calls[layer] == [True] and all(uses[own] == 1 for own in weights_of(layer))]


def weights_of(layer: nn.Linear) -> list[Tensor]:
    """The weight, and the bias if there is one."""
    return [layer.weight] if layer.bias is None else [layer.weight, layer.bias]


def _uses(output: Tensor) -> Counter[Tensor]:
    """How many operations in the graph of the output take each leaf tensor."""
    uses: Counter[Tensor] = Counter()
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for earlier, _ in node.next_functions:
            leaf = getattr(earlier, "variable", None)
            if leaf is None:
                waiting.append(earlier)
            else:
                uses[leaf] += 1
    return uses
