"""How far weights are from the maximum of the log joint density of data and weights, and steps towards it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.laplace.blocks import Block

_TOGETHER = 1000
"""The largest number of inputs whose gradients are computed together."""
_SMALLEST_STEP = 2**-6
"""The smallest fraction of a step that is tried."""


class Joint:
    """The negative log joint density: -log p(y | x, w) + prior_precision / 2 |w|^2, without the prior's constant.

    Args:
        network: the network, in eval mode.
        weights: some of its parameters; all others stay as they are.
        prior_precision: the precision of the prior of each weight.
        x, y: the training inputs (N, *shape) and labels (N,).
    """

    def __init__(
        self, network: nn.Module, weights: Mapping[str, Tensor], prior_precision: float, x: Tensor, y: Tensor
    ) -> None:
        self._network, self._weights, self._prior = network, weights, prior_precision
        self._parts = list(zip(x.split(_TOGETHER), y.split(_TOGETHER), strict=True))

    @torch.no_grad()
    def value(self) -> float:
        """The value at the network's weights, in nats."""
        nll = sum(cross_entropy(self._network(x), y, reduction="sum").item() for x, y in self._parts)
        squares = sum(weight.double().square().sum().item() for weight in self._weights.values())
        return nll + 0.5 * self._prior * squares

    def gradient(self) -> dict[str, Tensor]:
        """The gradient in the weights, in float64."""
        total = {name: self._prior * weight.detach().double() for name, weight in self._weights.items()}
        for x, y in self._parts:
            loss = cross_entropy(self._network(x), y, reduction="sum")
            slopes = torch.autograd.grad(loss, list(self._weights.values()), allow_unused=True)
            for name, slope in zip(total, slopes, strict=True):
                if slope is not None:  # Weights that the network does not use have only a prior.
                    total[name] += slope
        return total

    @torch.no_grad()
    def step(self, blocks: Sequence[Block], gradient: Mapping[str, Tensor]) -> bool:
        """Change the weights by -t H^-1 g, with the largest t of 1, 1/2, ... that lowers the value enough.

        The result is whether there is one; otherwise the weights stay as they are.
        """
        direction = {name: change for block in blocks for name, change in block.solved(gradient).items()}
        before = self.value()
        kept = {name: weight.clone() for name, weight in self._weights.items()}
        slope = sum(block.squared_length(gradient) for block in blocks)
        fraction = 1.0
        while fraction >= _SMALLEST_STEP:
            for name, weight in self._weights.items():
                weight.copy_(kept[name].double() - fraction * direction[name])
            if self.value() < before - 0.1 * fraction * slope:
                return True
            fraction /= 2
        for name, weight in self._weights.items():
            weight.copy_(kept[name])
        return False
