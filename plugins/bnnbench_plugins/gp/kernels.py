"""Kernels of Gaussian processes, and functions drawn from their priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Arrays (S, *shape) of S functions, by name."""


class Kernel(Protocol):
    """The covariance of a Gaussian process of mean zero, and finite models of functions with that covariance.

    Inputs are flattened: (n, d). All methods work in the precision of their arguments and are differentiable.
    """

    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        """The covariances (n, m) of the function's values at inputs a (n, d) and b (m, d)."""

    def prior(self, count: int, inputs: int, outputs: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The weights of `count` functions from R^inputs to R^outputs, drawn from the prior, in float64."""

    def prior_values(self, x: Tensor, weights: Weights) -> Tensor:
        """The values (S, n, outputs) of drawn functions at inputs x (n, d)."""


class RadialBasis:
    """The kernel scale^2 exp(-|(a - b) / lengthscale|^2 / 2), also called RBF or squared exponential.

    The lengthscale is one number or one for each input, (1,) or (d,). A function of the prior is a sum of F waves
    (random Fourier features, Rahimi and Recht 2007), with standard normal u:

        f(x) = scale sqrt(2 / F) sum_i u_i cos(w_i . x + b_i),   w_i ~ N(0, 1 / lengthscale^2),   b_i ~ U(0, 2 pi)

    Every function has frequencies w and phases b of its own. Since 2 cos(w . x + b) cos(w . y + b) has the mean
    cos(w . (x - y)) over b, and that has the mean k(x, y) / scale^2 over w, the covariance over functions is the kernel
    itself for any F.
    """

    def __init__(self, lengthscale: Tensor, scale: Tensor, features: int) -> None:
        self.lengthscale, self.scale, self.features = lengthscale, scale, features

    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        # The inputs are centred, so that the difference of large squares loses few digits.
        centre = b.detach().mean(0)
        a, b = (a - centre) / self.lengthscale, (b - centre) / self.lengthscale
        exponent = a @ b.T - a.square().sum(1)[:, None] / 2 - b.square().sum(1) / 2
        return self.scale.square() * exponent.exp()

    def prior(self, count: int, inputs: int, outputs: int, generator: torch.Generator) -> dict[str, Tensor]:
        phases = torch.rand(count, 1, self.features, generator=generator, dtype=torch.float64, device=generator.device)
        return {
            "frequencies": normal((count, inputs, self.features), generator) / self.lengthscale[:, None],
            "phases": 2 * math.pi * phases,
            "heights": normal((count, self.features, outputs), generator) * self.scale * math.sqrt(2 / self.features),
        }

    def prior_values(self, x: Tensor, weights: Weights) -> Tensor:
        return (x @ weights["frequencies"] + weights["phases"]).cos() @ weights["heights"]


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal numbers in float64, on the device of the generator."""
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
