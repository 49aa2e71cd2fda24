"""Statistics of batch norm for each draw: a parameter of posteriors, and their estimation on the training inputs."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnnbench.core.component import Component
from bnnbench.core.draws import Draws
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.errors import Incompatible

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TOGETHER = 1000
"""The largest number of training inputs that are evaluated together."""
_STATISTICS = ("running_mean", "running_var")
_TOLD = "batch norm has statistics of each draw, recalibrated on the training inputs"


class BatchNormStatistics(Component):
    """A mixin with the parameter that says which statistics of batch norm the draws of a posterior have."""

    batch_norm: Literal["frozen", "recalibrated"] = "frozen"
    """Statistics of batch norm. `frozen`: those of the fit, which all draws share. `recalibrated`: each draw has its
    own, estimated on the training inputs after the fit (Izmailov et al. 2018; Maddox et al. 2019)."""

    def identity(self) -> dict[str, Any]:
        """The identity, with `batch_norm` only if it is not the default: fits from before it was there stay valid."""
        identity = super().identity()
        if self.batch_norm != "frozen":
            return identity
        kept = {name: value for name, value in identity["parameters"].items() if name != "batch_norm"}
        return identity | {"parameters": kept}


def recalibrated(draws: Draws, network: nn.Module, x: Tensor) -> Draws:
    """The draws, with statistics of batch norm for each of them; the same draws if the network has no batch norm.

    A draw's statistics are the mean and the unbiased variance of what enters the layer at the training inputs x
    (N, *shape), under the draw's weights, while each layer normalises by the batch, as in training. The inputs are
    evaluated at most `TOGETHER` at once. For a layer behind another one, this is an estimate if there are more. The
    diagnostic `held_fixed` says it, unless it is there already.

    Args:
        draws: arrays (chains, draws, *weight) of the network's weights, and its buffers as shared arrays.
        network: the template. It is copied, and evaluated in float32 and in eval mode.
        x: the training inputs.

    Raises `Incompatible` if another layer than torch's batch norm keeps running statistics.
    """
    network = in_eval_mode(copied(network).float())
    layers = _layers(network)
    if not layers:
        return draws
    names = [f"{layer}.{name}" for layer in layers for name in _STATISTICS]
    shared = {name: array for name, array in draws.shared.items() if name not in names}
    flat = draws.flat()
    each = []
    for index in range(len(draws)):
        weights = _tensors(shared | {name: array[index] for name, array in flat.items()}, x.device)
        each.append(_statistics(network, layers, weights, x))
    lead = (draws.chains, draws.per_chain)
    own = {name: np.stack([one[name] for one in each]).reshape(*lead, -1) for name in names}
    return Draws(draws.arrays | own, shared=shared, diagnostics={"held_fixed": _TOLD} | draws.diagnostics)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a layer of the network is a batch norm of torch with running statistics."""
    return any(_is_batch_norm(layer) for layer in network.modules())


def _layers(network: nn.Module) -> dict[str, Any]:
    """The layers with batch norm by name. Raises `Incompatible` if another layer keeps running statistics."""
    for name, layer in network.named_modules():
        if getattr(layer, "running_mean", None) is not None and not _is_batch_norm(layer):
            raise Incompatible(
                f"layer '{name}' ({type(layer).__name__}) keeps running statistics and is no batch norm of torch: "
                "batch_norm: recalibrated cannot estimate them"
            )
    return {name: layer for name, layer in network.named_modules() if _is_batch_norm(layer)}


def _is_batch_norm(layer: nn.Module) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm

    return isinstance(layer, _BatchNorm) and layer.running_mean is not None


def _tensors(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """The arrays as tensors on the device, floats in float32."""
    import torch

    tensors = {name: torch.from_numpy(np.array(array)).to(device) for name, array in arrays.items()}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _statistics(
    network: nn.Module, layers: dict[str, Any], weights: dict[str, Tensor], x: Tensor
) -> dict[str, np.ndarray]:
    """The running statistics of each layer at inputs x under some weights, by their names in the `state_dict`."""
    import torch
    from torch.func import functional_call

    moments = {name: _Moments() for name in layers}
    hooks = [
        layer.register_forward_pre_hook(functools.partial(_normalise_by_batch, moments[name]))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            for part in x.tensor_split(math.ceil(len(x) / TOGETHER)):
                functional_call(network, weights, (part,))
    finally:
        for hook in hooks:
            hook.remove()
    found: dict[str, np.ndarray] = {}
    for name, one in moments.items():
        # A layer that was not called keeps what it has.
        own = (one.mean, one.unbiased) if one.count else (layers[name].running_mean, layers[name].running_var)
        for statistic, value in zip(_STATISTICS, own, strict=True):
            found[f"{name}.{statistic}"] = value.float().cpu().numpy().copy()
    return found


@dataclass
class _Moments:
    """The mean and the sum of squared deviations of values that are seen batch after batch, for each channel."""

    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0

    def add(self, count: int, mean: Tensor, variance: Tensor) -> None:
        """Add a batch by its count, mean and biased variance (Chan et al. 1983)."""
        total = self.count + count
        shift = mean - self.mean
        self.mean = self.mean + shift * (count / total)
        self.squares = self.squares + variance * count + shift.square() * (self.count * count / total)
        self.count = total

    @property
    def unbiased(self) -> Tensor:
        """The variance of all values, as batch norm keeps it."""
        variance: Tensor = self.squares / max(1, self.count - 1)
        return variance


def _normalise_by_batch(moments: _Moments, layer: Any, inputs: tuple[Tensor]) -> None:
    """A forward pre-hook: adds the moments of the layer's inputs (N, C, ...), and makes it normalise by them."""
    values = inputs[0].transpose(0, 1).flatten(1).double()
    mean, variance = values.mean(1), values.var(1, unbiased=False)
    moments.add(values.shape[1], mean, variance)
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance)
