"""The dropout layers of a network, and masks in their places."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from bnnbench import Draws, Incompatible
from bnnbench.authoring import in_train_mode
from bnnbench_plugins.torch.inserted_dropout import random_masks

if TYPE_CHECKING:
    from torch import Tensor

ELEMENTWISE = (nn.Dropout,)
CHANNELWISE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Classes of layers that drop single values, and whole channels."""


class FixedMask(nn.Module):
    """A dropout layer with one mask for all inputs."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        masked: Tensor = x * self.mask
        return masked


class OwnDropout:
    """The dropout layers of a network, each with its own probability.

    Each draw has the trained weights and a mask for each layer, the array `NAME.mask` of the layer NAME.

    Args:
        network: the network.
        example: inputs (N, *shape), on which the shapes of the masks are found.

    Attributes:
        kept: empty, since masks of values are not masks of weights.

    Raises `Incompatible` if a layer has no mask that is the same in all its uses.
    """

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        self.network = network
        self.kept: dict[str, float] = {}
        self._layers = dropout_layers(network)
        self._shapes = _mask_shapes(network, self._layers, example)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draws of the weights, which are equal, and of the masks: name -> array (count, *shape)."""
        weights = {name: weight.expand(count, *weight.shape) for name, weight in self.network.named_parameters()}
        masks = {
            f"{name}.mask": random_masks((count, *shape), self._layers[name].p, generator)
            for name, shape in self._shapes.items()
        }
        return weights | masks

    def remove(self) -> None:
        """Nothing: the network is as it was."""


def dropout_layers(network: nn.Module) -> dict[str, Any]:
    """The dropout layers of a network that drop something, by name."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, _DropoutNd) and layer.p > 0}


def with_masks(network: nn.Module, draws: Draws) -> nn.Module:
    """A copy of the network with a `FixedMask` in place of each dropout layer that has masks among the draws.

    It is the network itself if no layer has. A layer that is held under several names has its mask under all of them.
    """
    names = [name for name in dropout_layers(network) if f"{name}.mask" in draws.arrays]
    if not names:
        return network
    masked = copy.deepcopy(network)
    device = next(network.parameters()).device
    layers, all_names = dict(masked.named_modules()), list(masked.named_modules(remove_duplicate=False))
    for name in names:
        shape = draws.arrays[f"{name}.mask"].shape[2:]
        mask = FixedMask(torch.ones(shape, device=device))
        for other in [other for other, layer in all_names if layer is layers[name]]:
            masked.set_submodule(other, mask)
    return masked


def refuse_other_noise(network: nn.Module, x: Tensor) -> None:
    """Raise `Incompatible` if the network is random in train mode by anything else than its dropout layers."""
    outputs = []
    for seed in (0, 1):
        trial = in_train_mode(copy.deepcopy(network))
        for layer in dropout_layers(trial).values():
            layer.training = False
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.no_grad():
            torch.manual_seed(seed)
            outputs.append(trial(x))
    if not torch.equal(*outputs):
        raise Incompatible(
            "the network is random in train mode by something else than layers of nn.Dropout, such as a call of "
            "torch.nn.functional.dropout: mc-dropout cannot give it a mask; use layers of nn.Dropout"
        )


def _mask_shapes(network: nn.Module, layers: dict[str, Any], x: Tensor) -> dict[str, tuple[int, ...]]:
    """The shape of each layer's mask. Raises `Incompatible` if a layer has none."""
    names = {layer: name for name, layer in layers.items()}
    called: dict[str, list[tuple[int, ...]]] = {}

    def record_call(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        called.setdefault(names[layer], []).append(tuple(output.shape))

    hooks = [layer.register_forward_hook(record_call) for layer in layers.values()]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _mask_shape(name, layers[name], shapes, len(x)) for name, shapes in called.items()}


def _mask_shape(name: str, layer: Any, shapes: list[tuple[int, ...]], batch: int) -> tuple[int, ...]:
    described = f"layer '{name}' ({type(layer).__name__})"
    if type(layer) not in (*ELEMENTWISE, *CHANNELWISE):
        raise Incompatible(f"{described} may do more than multiply by a mask: use nn.Dropout, or nn.Dropout1d to 3d")
    if len(shapes) > 1:
        raise Incompatible(f"{described} is called {len(shapes)} times: give each place a layer of its own")
    (shape,) = shapes
    if shape[0] != batch:
        raise Incompatible(f"{described} gets {shape[0]} items for {batch} inputs: their first axis must be the inputs")
    return shape[1:] if type(layer) in ELEMENTWISE else (shape[1], *[1] * (len(shape) - 2))
