"""The kernel of wide networks, and finite wide networks as functions of its prior."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bnnbench_plugins.gp.dual_activations import Activation, Rectified, Smooth
from bnnbench_plugins.gp.kernels import Weights, normal

ACTIVATIONS = ("relu", "leaky-relu", "tanh", "sigmoid")
"""The names of activations. Draws hold the position of one; its place must not change."""


def activation_of(position: int, slope: float) -> Activation:
    """The activation at a position of `ACTIVATIONS`; `slope` is that of `leaky-relu` below zero."""
    made: tuple[Activation, ...] = (Rectified(), Rectified(slope), Smooth("tanh"), Smooth("sigmoid"))
    return made[position]


@dataclass(frozen=True, eq=False)
class WideNetwork:
    """The limit of fully connected networks whose hidden layers are infinitely wide.

    Weights are normal with variance weight_scale^2 / (inputs of the layer), biases with variance bias_scale^2. The
    outputs are then a Gaussian process (Lee et al. 2018, Matthews et al. 2018). Its covariance after l hidden layers
    with activation g follows layer by layer:

        K_0(a, b) = bias_scale^2 + weight_scale^2 / d * a . b
        K_l(a, b) = bias_scale^2 + weight_scale^2 * E[g(u) g(v)],   (u, v) ~ N(0, K_{l-1} of a and b)

    The kernel is output_scale^2 times that of the last layer. A function of the prior is a network with `width` units
    in each hidden layer and weights of its own. With one hidden layer, the covariance over such networks is the kernel
    itself; with more, it differs by a share of order 1 / width.
    """

    hidden_layers: int
    activation: Activation
    weight_scale: float
    bias_scale: float
    output_scale: Tensor
    width: int

    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        p, q = self._first_variance(a), self._first_variance(b)
        c = self.bias_scale**2 + self.weight_scale**2 / a.shape[1] * (a @ b.T)
        for _ in range(self.hidden_layers):
            p, q, c = self._next(p), self._next(q), self._affine(self.activation.dual(p, q, c))
        return self.output_scale.square() * c

    def _first_variance(self, a: Tensor) -> Tensor:
        return self._affine(a.square().mean(1))

    def _next(self, p: Tensor) -> Tensor:
        return self._affine(self.activation.variance(p))

    def _affine(self, second_moment: Tensor) -> Tensor:
        return self.bias_scale**2 + self.weight_scale**2 * second_moment

    def prior(self, count: int, inputs: int, outputs: int, generator: torch.Generator) -> dict[str, Tensor]:
        widths = [inputs, *[self.width] * self.hidden_layers, outputs]
        weights = {}
        for layer, (before, after) in enumerate(itertools.pairwise(widths)):
            last = self.output_scale if layer == self.hidden_layers else 1.0
            weight_scale = self.weight_scale / math.sqrt(before) * last
            weights[f"prior.{layer}.weight"] = normal((count, before, after), generator) * weight_scale
            weights[f"prior.{layer}.bias"] = normal((count, 1, after), generator) * self.bias_scale * last
        return weights

    def prior_values(self, x: Tensor, weights: Weights) -> Tensor:
        values = x @ weights["prior.0.weight"] + weights["prior.0.bias"]
        for layer in range(1, self.hidden_layers + 1):
            values = self.activation(values) @ weights[f"prior.{layer}.weight"] + weights[f"prior.{layer}.bias"]
        return values
