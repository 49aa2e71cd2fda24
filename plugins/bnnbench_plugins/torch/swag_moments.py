"""The moments of the weights along a training, and normal draws that have them."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class SwagMoments:
    """The normal distribution that SWAG fits to iterates of D weights (Maddox et al. 2019).

    After the iterates w_1..w_T, with running means m_t = (w_1 + ... + w_t) / t:

        mean        = m_T
        diagonal    = (w_1^2 + ... + w_T^2) / T - m_T^2
        deviations  = the last K of the vectors w_t - m_t, at most `rank`
        covariance  = scale * (diag(diagonal) / 2 + deviations^T deviations / (2 (K - 1)))

    Moments are kept in float64. With fewer than two deviations the second term is left out, and the first stands for
    the whole: scale * diag(diagonal).

    Args:
        rank: the largest number of deviations.

    Attributes:
        mean: the mean (D,) of the iterates.
        collected: their number T.
    """

    def __init__(self, rank: int) -> None:
        self.collected = 0
        self.mean = torch.zeros(0)
        self._squares = torch.zeros(0)
        self._deviations: deque[Tensor] = deque(maxlen=rank)

    def collect(self, weights: Tensor) -> None:
        """Add an iterate (D,)."""
        weights = weights.detach().double()
        if not self.collected:
            self.mean, self._squares = torch.zeros_like(weights), torch.zeros_like(weights)
        self.collected += 1
        before = weights - self.mean
        self.mean = self.mean + before / self.collected
        # The sum of squared deviations from the mean (Welford 1962), which loses no digits.
        self._squares = self._squares + before * (weights - self.mean)
        self._deviations.append(weights - self.mean)

    @property
    def diagonal(self) -> Tensor:
        """The variances (D,) of the iterates."""
        return self._squares / self.collected

    @property
    def deviations(self) -> Tensor:
        """The last deviations (K, D)."""
        return torch.stack([*self._deviations]) if self._deviations else self.mean.new_zeros(0, len(self.mean))

    def draw(self, count: int, scale: float, generator: torch.Generator) -> Tensor:
        """Independent draws (count, D) in float32."""
        deviations = self.deviations
        low_rank = len(deviations) > 1
        spread = (scale * self.diagonal * (0.5 if low_rank else 1.0)).sqrt().float()
        draws = self.mean.float() + spread * self._normal(count, len(self.mean), generator)
        if low_rank:
            factor = (scale / (2 * (len(deviations) - 1))) ** 0.5
            draws += self._normal(count, len(deviations), generator) @ (factor * deviations).float()
        return draws

    def _normal(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        return torch.randn((count, size), generator=generator, device=generator.device)
