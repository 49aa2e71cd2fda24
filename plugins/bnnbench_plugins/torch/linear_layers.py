"""Find the linear and convolutional layers of a network, and how its outputs depend on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, conv3d

CONVOLUTIONS: dict[type[nn.Module], Any] = {nn.Conv1d: conv1d, nn.Conv2d: conv2d, nn.Conv3d: conv3d}
"""The classes of convolutions, each with its function."""
AXES: dict[type[nn.Module], int] = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}
"""The classes of layers that are linear in their inputs, each with the number of axes of a batch that it takes."""


@dataclass(eq=False)
class LayerUse:
    """How one forward pass on N inputs uses a layer.

    Attributes:
        layer: the layer.
        batch: the number N.
        shapes: the shape of the inputs of each of its calls; None for a call with other than one positional argument.
        alone: whether no operation outside of these calls uses its weight or bias.
    """

    layer: nn.Module
    batch: int
    shapes: list[tuple[int, ...] | None] = field(default_factory=list)
    alone: bool = False

    @property
    def one_call(self) -> bool:
        """Whether the logits depend on the weights by one call of the layer alone."""
        return self.alone and len(self.shapes) == 1 and self.shapes[0] is not None

    @property
    def once(self) -> bool:
        """Whether they do, and the call has one item for each of the N inputs."""
        shape = self.shapes[0] or ()
        return self.one_call and len(shape) == AXES[type(self.layer)] and shape[0] == self.batch


def layer_uses(network: nn.Module, x: Tensor) -> list[LayerUse]:
    """The uses of the layers of the classes in `AXES` by a forward pass on inputs x (N, *shape), in order of call.

    Layers that are not called are left out, and so are subclasses, since they may compute something else.
    """
    uses: dict[nn.Module, LayerUse] = {}

    def record_call(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        shape = tuple(inputs[0].shape) if len(inputs) == 1 else None
        uses.setdefault(layer, LayerUse(layer, len(x))).shapes.append(shape)

    hooks = [layer.register_forward_hook(record_call) for layer in network.modules() if type(layer) in AXES]
    try:
        operations = _operations(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    for use in uses.values():
        use.alone = all(operations[weight] == len(use.shapes) for weight in weights_of(use.layer))
    return list(uses.values())


def linear_layers_used_once(network: nn.Module, x: Tensor) -> list[nn.Linear]:
    """The layers of class `nn.Linear` whose weights enter the logits of each input exactly once.

    In one forward pass on the inputs x (N, *shape), such a layer is called once, with one argument of shape
    (N, features), and no other operation uses its weight or bias. If its weights are independent normal variables, then
    so are its outputs at one input. This does not hold for a layer that is applied twice, or at several positions of
    one input: its outputs share weights.
    """
    return [use.layer for use in layer_uses(network, x) if use.once and isinstance(use.layer, nn.Linear)]


def convolutions_used_once(network: nn.Module, x: Tensor) -> list[nn.Module]:
    """The convolutions, padded with zeros, whose weights enter the logits of each input by one call of the layer."""
    uses = [use for use in layer_uses(network, x) if use.once and type(use.layer) in CONVOLUTIONS]
    return [use.layer for use in uses if use.layer.padding_mode == "zeros"]


def convolution(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    """The outputs of a convolution at inputs x (N, channels, *size) with another weight, and without its bias."""
    function, its = CONVOLUTIONS[type(layer)], cast(Any, layer)
    found: Tensor = function(x, weight, None, its.stride, its.padding, its.dilation, its.groups)
    return found


def weights_of(layer: nn.Module) -> list[Tensor]:
    """The layer's weight, and its bias if it has one."""
    return [weight for weight in (layer.weight, layer.bias) if isinstance(weight, Tensor)]


def _operations(output: Tensor) -> Counter[Tensor]:
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
