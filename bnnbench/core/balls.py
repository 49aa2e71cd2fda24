"""The geometry of the balls of each norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bnnbench.core.ball import Ball, uniform_numbers
from bnnbench.core.broadcasting import per_image
from bnnbench.core.l1_ball import L1Ball

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class LinfBall(Ball):
    """Balls of the largest coordinate."""

    def length(self, step: Tensor) -> Tensor:
        return step.double().flatten(1).abs().amax(1)

    def dual(self, direction: Tensor) -> Tensor:
        return direction.double().flatten(1).abs().sum(1)

    def covering(self, width: float, size: int) -> float:
        return width

    def within(self, x: Tensor, step: Tensor, radius: float | Tensor, box: tuple[float, float]) -> Tensor:
        if isinstance(radius, float | int):
            return step.clamp(-radius, radius)
        reach = per_image(radius, step)
        return step.minimum(reach).maximum(-reach)

    def steepest(self, direction: Tensor) -> Tensor:
        return direction.sign()

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return (uniform_numbers(tuple(x.shape), rng) * 2 - 1).to(x)

    def moved(self, x: Tensor, step: Tensor, radius: float, box: tuple[float, float]) -> Tensor:
        return (x + step).clamp(*box)


class L2Ball(Ball):
    """Balls of the Euclidean length."""

    def length(self, step: Tensor) -> Tensor:
        return step.double().flatten(1).norm(dim=1)

    def dual(self, direction: Tensor) -> Tensor:
        return self.length(direction)

    def covering(self, width: float, size: int) -> float:
        return width * math.sqrt(size)

    def within(self, x: Tensor, step: Tensor, radius: float | Tensor, box: tuple[float, float]) -> Tensor:
        return step * per_image((radius / self._positive_length(step)).clamp(max=1.0), step)

    def steepest(self, direction: Tensor) -> Tensor:
        # The direction is scaled first, because the squares of a tiny one would underflow.
        largest = direction.flatten(1).abs().amax(1)
        scaled = direction / per_image(largest.clamp(min=_tiny(direction)), direction)
        return (scaled / per_image(self._positive_length(scaled), scaled)).to(direction)

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        import torch

        normal = torch.randn(x.shape, generator=rng, dtype=torch.float32, device="cpu").to(x)
        # In d dimensions, the fraction r^d of the unit ball's volume lies within radius r.
        radius = uniform_numbers((len(x),), rng).to(x) ** (1 / math.prod(x.shape[1:]))
        return normal * per_image(radius / self._positive_length(normal), x)

    def _positive_length(self, step: Tensor) -> Tensor:
        """The lengths (N,) of steps, at least the smallest positive float."""
        return self.length(step).clamp(min=_tiny(step)).to(step)


BALLS: dict[str, Ball] = {"linf": LinfBall(), "l2": L2Ball(), "l1": L1Ball()}
"""The balls by the name of the norm."""
NORMS = frozenset(BALLS)
"""The names of all norms."""


def _tiny(batch: Tensor) -> float:
    """The smallest positive normal float of the batch's type."""
    import torch

    return torch.finfo(batch.dtype).tiny
