"""What the geometry of each norm has: lengths, steps and noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bnnbench.core.broadcasting import per_image

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOLERANCE = 1e-6
"""Distance, in widths of the box, by which an input may lie outside of ball or box: it allows for float32 rounding."""


class Ball(ABC):
    """The balls of one norm.

    Batches are (N, *shape). Radii and lengths are one number, or one for each image, (N,). A box is the smallest and
    the largest value of a coordinate.
    """

    @abstractmethod
    def length(self, step: Tensor) -> Tensor:
        """The lengths (N,) of steps in the norm, in float64."""

    @abstractmethod
    def dual(self, direction: Tensor) -> Tensor:
        """The largest products (N,) of directions with a step of length one, in float64: the dual norm."""

    @abstractmethod
    def covering(self, width: float, size: int) -> float:
        """The smallest radius whose ball around any point of a box holds the box, of this width in `size` axes."""

    @abstractmethod
    def within(self, x: Tensor, step: Tensor, radius: float | Tensor, box: tuple[float, float]) -> Tensor:
        """Steps from x moved into the ball, such that x moved by them and clipped to the box stays in the ball."""

    @abstractmethod
    def steepest(self, direction: Tensor) -> Tensor:
        """The step of length one that has the largest product with the direction; zero where the direction is zero."""

    def ascent(self, points: Tensor, direction: Tensor, length: float | Tensor, box: tuple[float, float]) -> Tensor:
        """The steps of these lengths from points in the box along which a linear function rises most."""
        return _per_image(length, direction) * self.steepest(direction)

    def signs(self, x: Tensor, rng: torch.Generator, radius: float, box: tuple[float, float]) -> Tensor:
        """Steps from x to the surface of the ball, along random signs."""
        return radius * self.steepest(random_signs(x, rng))

    @abstractmethod
    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Steps of x's shape that are uniform in the ball of radius one."""

    def moved(self, x: Tensor, step: Tensor, radius: float, box: tuple[float, float]) -> Tensor:
        """x moved by steps no longer than the radius, clipped to the box, and corrected for rounding."""
        moved = (x + step).clamp(*box)
        # The rounding errors of many coordinates can add up to a step that is too long. Such a step is shortened.
        excess = self._distance(x, moved)
        excess = (excess / radius if radius else excess).to(x)
        factor = (excess > 1).to(x) * ((1 - 1e-6) / excess.clamp(min=1) - 1) + 1
        step = step * per_image(factor, step)
        moved = (x + step).clamp(*box)
        # Far from zero, floats lie so far apart that shortening has no effect. Coordinates are then rounded towards x.
        outside = self._distance(x, moved) > radius + TOLERANCE * (box[1] - box[0]) / 2
        return _rounded_inward(x, step, moved).where(per_image(outside, moved), moved)

    def _distance(self, x: Tensor, other: Tensor) -> Tensor:
        return self.length(other.double() - x.double())


def random_signs(x: Tensor, rng: torch.Generator) -> Tensor:
    """Independent random signs of x's shape."""
    import torch

    # The numbers are drawn on the CPU, so that the same seed gives the same noise on every device.
    return (torch.randint(0, 2, x.shape, generator=rng, device="cpu") * 2 - 1).to(x)


def uniform_numbers(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Uniform random numbers in [0, 1), in float32 on the CPU."""
    import torch

    # The dtype is explicit, because another default dtype would give other numbers.
    return torch.rand(shape, generator=rng, dtype=torch.float32, device="cpu")


def _per_image(length: float | Tensor, batch: Tensor) -> float | Tensor:
    """A length as it is, or lengths (N,) in a shape that broadcasts over the images of a batch (N, *shape)."""
    return length if isinstance(length, float | int) else per_image(length, batch).to(batch)


def _rounded_inward(x: Tensor, step: Tensor, moved: Tensor) -> Tensor:
    """`moved`, with each coordinate that is further from x than its step rounded to the next float towards x."""
    import torch

    too_far = (moved.double() - x.double()).abs() > step.double().abs()
    return torch.nextafter(moved, x).where(too_far, moved)
