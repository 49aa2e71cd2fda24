"""A normal distribution over the weights of a network, independent for each weight."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call
from torch.nn.functional import linear

from bnnbench_plugins.torch.linear_layers import (
    convolution,
    convolutions_used_once,
    linear_layers_used_once,
    weights_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

_SMALLEST_VARIANCE = 1e-16
"""Lower bound of an output's variance. It keeps the square root differentiable if a layer without bias gets zeros."""


class MeanField:
    """q(w): an independent normal distribution of each parameter, whose mean and log standard deviation are trained.

    `logits` draws new weights from q at every call, so that the gradient of a mean over a minibatch is an unbiased
    estimate of the gradient of the mean's expectation under q. Weights are drawn in three ways. Each point's logits
    have the same distribution in all of them; the last two give the gradient far less noise.

    - In general, each parameter is drawn once for the whole minibatch.
    - In linear layers where it is exact (`linear_layers_used_once`), the layer's outputs are drawn instead,
      independently for each point (local reparametrisation, Kingma et al. 2015).
    - The outputs of a convolution at different positions share its weights, so that they cannot be drawn one by one.
      In convolutions that are used once, the deviation D of the weights from their mean is drawn once for the
      minibatch, and each point n has the deviation D * (r_n s_n^T), with random signs r_n of the output channels and
      s_n of the input channels (Flipout, Wen et al. 2018). D is symmetric and independent, so D * (r_n s_n^T) has the
      same distribution as D; those of two points are uncorrelated. It costs a second convolution, of s_n x_n with D:
      its outputs times r_n are added. The bias is drawn anew for each point.

    Args:
        network: its parameters are the means, which training changes, and hooks are added to it: pass a copy.
        example: inputs (N, *shape) on which the layers of the second and third kind are found.
        initial_scale: the standard deviation of every parameter before training.
        generator: the source of all random numbers, on the network's device.
    """

    def __init__(self, network: nn.Module, example: Tensor, initial_scale: float, generator: torch.Generator) -> None:
        self.network, self.generator = network, generator
        self.means: dict[str, Tensor] = dict(network.named_parameters())
        self.log_scales = {
            name: torch.full_like(mean, math.log(initial_scale), requires_grad=True)
            for name, mean in self.means.items()
        }
        self.local_layers = linear_layers_used_once(network, example)
        self.flipped_layers = convolutions_used_once(network, example)
        self._sampled = dict(self.means)
        for layer in self.local_layers:
            self._add_hook(layer, self._add_noise)
        for flipped in self.flipped_layers:
            self._add_hook(flipped, self._add_flipped)

    def _add_hook(self, layer: nn.Module, hook: Callable[..., Tensor]) -> None:
        """Let a hook draw the layer's outputs; its weights are no longer drawn for the whole minibatch."""
        names = {mean: name for name, mean in self.means.items()}
        layer_names = [names[weight] for weight in weights_of(layer)]
        # The hook runs before the network's own hooks, which must see the layer's sampled outputs.
        layer.register_forward_hook(functools.partial(hook, layer_names), prepend=True)
        for name in layer_names:
            del self._sampled[name]

    def parameters(self) -> list[Tensor]:
        """The tensors to train: all means and log standard deviations."""
        return [*self.means.values(), *self.log_scales.values()]

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs (N, *shape) under weights that are drawn from q for this call."""
        sampled = {
            name: mean + self.log_scales[name].exp() * self._normal(mean.shape) for name, mean in self._sampled.items()
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
        """Independent draws from q: name -> array (count, *weight)."""
        return {
            name: mean + self.log_scales[name].exp() * self._normal((count, *mean.shape))
            for name, mean in self.means.items()
        }

    def _add_noise(self, names: list[str], layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        # The layer ran with the mean weights, so `output` is the mean of its outputs. Their variance is the sum of the
        # weights' variances times the squared inputs, and of the bias's variance.
        variances = [(2 * self.log_scales[name]).exp() for name in names]
        variance = linear(inputs[0].square(), *variances).clamp_min(_SMALLEST_VARIANCE)
        return output + variance.sqrt() * self._normal(output.shape)

    def _add_flipped(self, names: list[str], layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        # The layer ran with the mean weights, so `output` is what the deviations are added to.
        x, each_position = inputs[0], [1] * (output.ndim - 2)
        weight, *bias = names
        inwards, outwards = ((*batch.shape[:2], *each_position) for batch in (x, output))
        deviation = self.log_scales[weight].exp() * self._normal(self.means[weight].shape)
        added = convolution(layer, x * self._signs(inwards), deviation) * self._signs(outwards)
        for name in bias:
            added = added + self.log_scales[name].exp().reshape(-1, *each_position) * self._normal(outwards)
        return output + added

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def _signs(self, shape: tuple[int, ...]) -> Tensor:
        return 2 * torch.randint(2, shape, generator=self.generator, device=self.generator.device).float() - 1
