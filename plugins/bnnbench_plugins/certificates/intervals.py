"""Intervals of the values of a layer, and products of rows of coefficients with values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds (N, *shape) of the values of a layer over the inputs of N regions."""

    lower: Tensor
    upper: Tensor

    @property
    def magnitude(self) -> Tensor:
        """Bounds (N, *shape) of the absolute values."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    def at(self, regions: Tensor) -> Interval:
        """The intervals of the regions at these positions."""
        return Interval(self.lower[regions], self.upper[regions])

    def within(self, other: Interval) -> Interval:
        """The intersection with other bounds of the same values."""
        return Interval(torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper))

    def widened(self, distance: Tensor) -> Interval:
        """The interval with both ends moved outward."""
        return Interval(self.lower - distance, self.upper + distance)


def inner(rows: Tensor, values: Tensor) -> Tensor:
    """The products (N, R) of R rows of coefficients (N, R, *shape) with values (N, *shape), for each of N regions.

    Either may have one region instead of N: it is then the same for all.
    """
    coefficients, vectors = rows.flatten(2), values.flatten(1)
    if len(coefficients) == 1:
        return vectors @ coefficients[0].T
    if len(vectors) == 1:
        return coefficients @ vectors[0]
    return torch.bmm(coefficients, vectors[:, :, None])[:, :, 0]
