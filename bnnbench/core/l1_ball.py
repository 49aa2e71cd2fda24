"""The geometry of the l1 norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bnnbench.core.ball import Ball, random_signs, uniform_numbers

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class L1Ball(Ball):
    """Balls of the sum of all coordinates' sizes.

    Their steepest step changes a single coordinate, and most often leaves the box. `within` and `ascent` therefore take
    the box into account.
    """

    def length(self, step: Tensor) -> Tensor:
        return step.double().flatten(1).abs().sum(1)

    def dual(self, direction: Tensor) -> Tensor:
        return direction.double().flatten(1).abs().amax(1)

    def covering(self, width: float, size: int) -> float:
        return width * size

    def within(self, x: Tensor, step: Tensor, radius: float | Tensor, box: tuple[float, float]) -> Tensor:
        size, room = step.double().flatten(1).abs(), _room(x, step, box)
        lengths = self._lengths(radius, size)
        kept = (size - _threshold(size, room, lengths)[:, None]).clamp(min=0).minimum(room)
        # The rounding of the threshold would leave a trace in a ball of radius 0.
        kept = kept * (lengths > 0)[:, None]
        return step.sign() * kept.view_as(step).to(step)

    def steepest(self, direction: Tensor) -> Tensor:
        import torch

        flat = direction.flatten(1)
        largest = flat.abs().argmax(1, keepdim=True)
        return torch.zeros_like(flat).scatter(1, largest, flat.gather(1, largest).sign()).view_as(direction)

    def ascent(self, points: Tensor, direction: Tensor, length: float | Tensor, box: tuple[float, float]) -> Tensor:
        """Each coordinate moves to the end of the box, the steepest first, until the length is used up."""
        slope, room = direction.flatten(1).abs(), _room(points, direction, box)
        order = slope.argsort(dim=1, descending=True, stable=True)
        ordered = room.gather(1, order)
        left = self._lengths(length, room)[:, None] - (ordered.cumsum(1) - ordered)
        step = room.scatter(1, order, ordered.minimum(left.clamp(min=0)))
        return direction.sign() * step.view_as(direction).to(direction)

    def signs(self, x: Tensor, rng: torch.Generator, radius: float, box: tuple[float, float]) -> Tensor:
        """Coordinates in random order move to a random end of the box, until the radius is used up."""
        return self.ascent(x, (uniform_numbers(tuple(x.shape), rng) * 2 - 1).to(x), radius, box)

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        signs = random_signs(x, rng)
        # Divided by their sum, d + 1 exponential numbers are uniform in a simplex, of which d are the coordinates.
        sizes = -(-uniform_numbers((len(x), math.prod(x.shape[1:]) + 1), rng).double()).log1p()
        return signs * (sizes / sizes.sum(1, keepdim=True))[:, :-1].reshape(x.shape).to(x)

    @staticmethod
    def _lengths(length: float | Tensor, batch: Tensor) -> Tensor:
        """Lengths (N,) in float64."""
        return batch.new_full((len(batch),), length) if isinstance(length, float | int) else length.to(batch)


def _room(points: Tensor, direction: Tensor, box: tuple[float, float]) -> Tensor:
    """How far (N, d) each coordinate can move along the direction's sign within the box, in float64; 0 for no sign."""
    low, high = box
    points, sign = points.double(), direction.sign()
    return ((high - points) * (sign > 0) + (points - low) * (sign < 0)).clamp(min=0).flatten(1)


def _threshold(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """The smallest t (N,) >= 0 for which the sum of clip(size - t, 0, room) is at most the radius (N,).

    `size` and `room` are (N, d). The point of ball and box that is nearest to a step of these sizes has the sizes
    clip(size - t, 0, room) (Croce and Hein 2021, Proposition 2.1). The sum falls along a piecewise linear function of
    t, by one for each coordinate whose t lies between size - room and size.
    """
    import torch

    ends, order = torch.cat([(size - room).clamp(min=0), size], dim=1).sort(dim=1)
    falling = torch.cat([torch.ones_like(size), -torch.ones_like(size)], dim=1).gather(1, order).cumsum(1)
    fallen = torch.nn.functional.pad((falling[:, :-1] * ends.diff(dim=1)).cumsum(1), (1, 0))
    excess = (size.minimum(room).sum(1) - radius).clamp(min=0)[:, None]
    last = (fallen <= excess).sum(1, keepdim=True) - 1
    part = (excess - fallen.gather(1, last)) / falling.gather(1, last).clamp(min=1)
    return torch.where(excess > 0, ends.gather(1, last) + part, 0.0)[:, 0]
