"""Normal distributions over the weights of a network that are not independent for each weight.

Both have the covariance S M M^T S, with a trained standard deviation s for each weight, S = diag(s), and a matrix M
that mixes weights. So one factor on all s is a factor on the whole distribution, and a step of the optimizer changes
the deviation of each weight by about the same fraction, however many weights there are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from bnnbench_plugins.torch.mean_field import MeanField

if TYPE_CHECKING:
    from torch import Tensor, nn

STEP = 0.1
"""Entries of B are this factor times the numbers that are trained. The optimizer's steps in them would otherwise be so
large that their noise outweighs what the directions gain."""


class LowRank(MeanField):
    """q(w) = N(m, S (I + B B^T / r) S): independent deviations, and r directions that weights share.

    The independent deviations are drawn as `MeanField` does, and those along the directions once for a minibatch.

    Args:
        network, example, initial_scale, generator: as of `MeanField`.
        rank: the number r of directions, the columns of B (P, r).
    """

    def __init__(
        self, network: nn.Module, example: Tensor, initial_scale: float, generator: torch.Generator, rank: int
    ) -> None:
        super().__init__(network, example, initial_scale, generator)
        self.rank = rank
        # They do not start at 0, where the bound has no slope in them.
        self.directions = {
            name: torch.randn(rank, *mean.shape, generator=generator, device=mean.device).requires_grad_()
            for name, mean in self.means.items()
        }

    def parameters(self) -> list[Tensor]:
        """The tensors to train: those of `MeanField`, and the directions."""
        return [*super().parameters(), *self.directions.values()]

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs (N, *shape) under weights that are drawn from q for this call."""
        shared = self._shared(1)
        weights = {name: mean + shared[name][0] for name, mean in self.means.items()}
        for name in self._sampled:
            weights[name] = weights[name] + self.log_scales[name].exp() * self._normal(self.means[name].shape)
        return functional_call(self.network, weights, (x,))

    def divergence(self, prior_scale: float) -> Tensor:
        """The Kullback-Leibler divergence KL(q || N(0, prior_scale^2)), summed over all weights, in nats."""
        directions = torch.cat([STEP * one.flatten(1) for one in self.directions.values()], 1)
        scales = torch.cat([one.flatten() for one in self.log_scales.values()]).exp()
        # The determinant of I + B B^T / r (P, P) is that of I + B^T B / r (r, r).
        small = torch.eye(self.rank, device=directions.device) + directions @ directions.T / self.rank
        squares = (directions * scales).square().sum() / (self.rank * prior_scale**2)
        return super().divergence(prior_scale) + 0.5 * (squares - torch.linalg.slogdet(small).logabsdet)

    @torch.no_grad()
    def draw(self, count: int) -> dict[str, Tensor]:
        """Independent draws from q: name -> array (count, *weight)."""
        shared = self._shared(count)
        return {name: draw + shared[name] for name, draw in super().draw(count).items()}

    def _shared(self, count: int) -> dict[str, Tensor]:
        """Deviations along the directions: name -> array (count, *weight)."""
        shares = self._normal((count, self.rank)) * STEP / math.sqrt(self.rank)
        return {
            name: self.log_scales[name].exp() * torch.tensordot(shares, self.directions[name], 1) for name in self.means
        }


class FullCovariance:
    """q(w) = N(m, L L^T) with L = S (I + A / sqrt(P)) and A strictly lower triangular: any covariance of P weights.

    All weights are drawn once for a minibatch.

    Args:
        network: its parameters are the means, which training changes: pass a copy.
        initial_scale: the standard deviation of every parameter before training.
        generator: the source of all random numbers, on the network's device.
    """

    def __init__(self, network: nn.Module, initial_scale: float, generator: torch.Generator) -> None:
        self.network, self.generator = network, generator
        self.means: dict[str, Tensor] = dict(network.named_parameters())
        self.log_scales = {
            name: torch.full_like(mean, math.log(initial_scale), requires_grad=True)
            for name, mean in self.means.items()
        }
        self.size = sum(mean.numel() for mean in self.means.values())
        # Of the square array only the part below the diagonal is used.
        self.below = torch.zeros(self.size, self.size, device=generator.device, requires_grad=True)

    def parameters(self) -> list[Tensor]:
        """The tensors to train: all means and log standard deviations, and A."""
        return [*self.means.values(), *self.log_scales.values(), self.below]

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs (N, *shape) under weights that are drawn from q for this call."""
        weights = {name: draw[0] for name, draw in self._drawn(1).items()}
        return functional_call(self.network, weights, (x,))

    def divergence(self, prior_scale: float) -> Tensor:
        """The Kullback-Leibler divergence KL(q || N(0, prior_scale^2)), summed over all weights, in nats."""
        log_ratios = torch.cat([one.flatten() for one in self.log_scales.values()]) - math.log(prior_scale)
        means = torch.cat([mean.flatten() for mean in self.means.values()])
        rows = 1 + self.below.tril(-1).square().sum(1) / self.size
        squares = ((2 * log_ratios).exp() * rows).sum() + (means / prior_scale).square().sum()
        return 0.5 * (squares - self.size) - log_ratios.sum()

    @torch.no_grad()
    def draw(self, count: int) -> dict[str, Tensor]:
        """Independent draws from q: name -> array (count, *weight)."""
        return self._drawn(count)

    def _drawn(self, count: int) -> dict[str, Tensor]:
        noise = torch.randn(count, self.size, generator=self.generator, device=self.generator.device)
        noise = noise + noise @ self.below.tril(-1).T / math.sqrt(self.size)
        parts = noise.split([mean.numel() for mean in self.means.values()], 1)
        return {
            name: mean + self.log_scales[name].exp() * part.reshape(count, *mean.shape)
            for (name, mean), part in zip(self.means.items(), parts, strict=True)
        }
