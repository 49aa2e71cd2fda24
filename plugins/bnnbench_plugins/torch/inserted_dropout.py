"""Dropout of the inputs of a network's layers, for networks without dropout layers of their own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from bnnbench import Incompatible
from bnnbench_plugins.torch.linear_layers import LayerUse, layer_uses

if TYPE_CHECKING:
    from torch import Tensor, nn

_REMEDY = "give the network layers of nn.Dropout where values are to be dropped"


class InsertedDropout:
    """Dropout of the inputs of every linear and convolutional layer but the first.

    A mask drops features of linear layers, and whole channels of convolutions: that is the same as dropping columns of
    their weights, so that each draw is a set of weights of the network itself.

    Args:
        network: hooks are added to it that drop inputs in train mode, for each point other ones.
        example: inputs (N, *shape) on which the layers are found.
        rate: the probability that a value is dropped; the others are divided by 1 - rate.
        drop_inputs: whether the first layer's inputs are dropped too.

    Attributes:
        kept: the probability that the inputs of a weight are kept, by the name of the weight.

    Raises `Incompatible` if there is no such layer, or if the function of one is not its weights' alone.
    """

    def __init__(self, network: nn.Module, example: Tensor, rate: float, drop_inputs: bool) -> None:
        self.network, self.rate = network, rate
        uses = layer_uses(network, example)[0 if drop_inputs else 1 :]
        if not uses:
            raise Incompatible(
                "there is no linear or convolutional layer behind the first one, whose inputs could be dropped: "
                f"set drop_inputs: true, or {_REMEDY}"
            )
        names = {layer: name for name, layer in network.named_modules()}
        for use in uses:
            if not use.one_call:
                raise Incompatible(
                    f"layer '{names[use.layer]}' is called more than once, or its weight is used elsewhere: "
                    f"no mask of its inputs is a mask of the weight; {_REMEDY}"
                )
        self._layers: dict[str, Any] = {_joined(names[use.layer], "weight"): use.layer for use in uses}
        self.kept = dict.fromkeys(self._layers, 1 - rate)
        self._hooks = [use.layer.register_forward_pre_hook(functools.partial(self._drop, _axis(use))) for use in uses]

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draws of the weights, with a mask each: name -> array (count, *weight)."""
        weights = dict(self.network.named_parameters())
        drawn = {name: weight.expand(count, *weight.shape) for name, weight in weights.items()}
        for name, layer in self._layers.items():
            groups = getattr(layer, "groups", 1)
            outputs, inputs, *window = layer.weight.shape
            masks = random_masks((count, groups, inputs), self.rate, generator)
            # In a convolution of several groups, each output has the inputs of its group.
            columns = masks.repeat_interleave(outputs // groups, dim=1)
            drawn[name] = drawn[name] * columns.reshape(count, outputs, inputs, *[1] * len(window))
        return drawn

    def remove(self) -> None:
        """Take the hooks away from the network."""
        for hook in self._hooks:
            hook.remove()

    def _drop(self, axis: int, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
        if not layer.training:
            return None
        (x,) = inputs
        shape = [1] * x.ndim
        shape[0], shape[axis] = len(x), x.shape[axis]
        # As in torch's own dropout, the numbers come from the global generator, which has the seed of the layers.
        return x * random_masks(tuple(shape), self.rate, None, x.device)


def random_masks(
    shape: tuple[int, ...], rate: float, generator: torch.Generator | None, device: torch.device | None = None
) -> Tensor:
    """Masks: each value is 0 with probability `rate`, and otherwise 1 / (1 - rate)."""
    where = generator.device if generator is not None else device
    kept = torch.rand(shape, generator=generator, device=where) >= rate
    return kept / (1 - rate) if rate < 1 else kept.float()


def _axis(use: LayerUse) -> int:
    """The axis of the layer's inputs that its weight sums over."""
    return -1 if use.layer.weight.ndim == 2 else 1


def _joined(layer: str, name: str) -> str:
    return f"{layer}.{name}" if layer else name
