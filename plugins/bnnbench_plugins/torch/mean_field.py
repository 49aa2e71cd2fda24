"""A factorised normal distribution over the weights of a network."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call
from torch.nn.functional import linear

from bnnbench_plugins.torch.linear_layers import linear_layers_used_once, weights_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_SMALLEST_VARIANCE = 1e-16
"""Keeps the square root differentiable where a layer without bias sees zeros alone."""


class MeanField:
    """q(w): an independent normal on every parameter of a network, with mean and log standard deviation to learn.

    `logits` draws from q anew for each minibatch, so that the gradient of a mean over its points is an unbiased
    estimate of the gradient of that mean's expectation under q. It has two routes. The general one samples each
    parameter once and lets the whole minibatch share it. In linear layers where that is exact (see
    `linear_layers_used_once`) the layer's outputs are sampled instead, independently for each point: the same
    distribution for each point, and far less noise in the gradient (local reparametrisation, Kingma et al. 2015).

    Args:
        network: its parameters are the means, changed by training; hooks are added to it, so give it a copy.
        example: inputs (N, *shape) that show which layers can be sampled locally.
        initial_scale: every standard deviation before training.
        generator: of all draws, on the network's device.
    """

    def __init__(self, network: nn.Module, example: Tensor, initial_scale: float, generator: torch.Generator) -> None:
        self.network, self.generator = network, generator
        self.means: dict[str, Tensor] = dict(network.named_parameters())
        self.log_scales = {
            name: torch.full_like(mean, math.log(initial_scale), requires_grad=True)
            for name, mean in self.means.items()
        }
        self.local_layers = linear_layers_used_once(network, example)
        names = {mean: name for name, mean in self.means.items()}
        self._sampled = dict(self.means)
        for layer in self.local_layers:
            own = [names[weight] for weight in weights_of(layer)]
            # Before any hook of the user's: theirs must see the layer's sampled outputs.
            layer.register_forward_hook(functools.partial(self._add_noise, own), prepend=True)
            for name in own:
                del self._sampled[name]

    def parameters(self) -> list[Tensor]:
        """What there is to train."""
        return [*self.means.values(), *self.log_scales.values()]

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs (N, *shape) under weights drawn from q."""
        sampled = {
            name: mean + self.log_scales[name].exp() * self._normal(mean) for name, mean in self._sampled.items()
        }
        return functional_call(self.network, sampled, (x,))

    def divergence(self, prior_scale: float) -> Tensor:
        """The Kullback-Leibler divergence KL(q || N(0, prior_scale^2)), summed over all weights, in nats."""
        total = torch.zeros((), device=self.generator.device)
        for name, mean in self.means.items():
            log_ratio = self.log_scales[name] - math.log(prior_scale)
            squares = (2 * log_ratio).exp().sum() + (mean / prior_scale).square().sum()
            total = total + 0.5 * (squares - mean.numel()) - log_ratio.sum()
        return total

    @torch.no_grad()
    def draw(self, count: int) -> dict[str, Tensor]:
        """Independent draws of every parameter, (count, *weight)."""
        return {
            name: mean + self.log_scales[name].exp() * self._normal(mean.expand(count, *mean.shape))
            for name, mean in self.means.items()
        }

    def _add_noise(self, own: list[str], layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        # The layer ran with the mean weights, so its output is the mean; a sum of independent normals is a normal.
        variances = [(2 * self.log_scales[name]).exp() for name in own]
        variance = linear(inputs[0].square(), *variances).clamp_min(_SMALLEST_VARIANCE)
        return output + variance.sqrt() * self._normal(output)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, device=like.device)
