"""The energy distance between two sets of draws of a function, image by image.

The energy distance of two distributions (Szekely and Rizzo 2013) is 2 E|X - Y| - E|X - X'| - E|Y - Y'|. It is 0 if they
are equal and positive otherwise, and needs no bandwidth. With means over pairs of different draws in place of the
expectations it has no bias for independent draws, and may be negative. One draw alone is a point mass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

HELD = 2**21
"""The largest number of distances that are held at the same time; at least those of one image."""


def energy_distance(first: Tensor, second: Tensor) -> Any:
    """The unbiased energy distance between draws (S, N, K) and (R, N, K) at each of N images, (N,) in float64."""
    import torch

    one, other = first.double().transpose(0, 1), second.double().transpose(0, 1)
    step = max(1, HELD // max(one.shape[1], other.shape[1]) ** 2)
    parts = [
        2 * _distances(a, b).mean((1, 2)) - _within(a) - _within(b)
        for a, b in zip(one.split(step), other.split(step), strict=True)
    ]
    return torch.cat(parts).numpy()


def thinned(draws: Sequence[int], most: int) -> list[int]:
    """At most so many of these draws: the midpoints of equal segments."""
    count = min(most, len(draws))
    return [draws[(2 * place + 1) * len(draws) // (2 * count)] for place in range(count)]


def _within(draws: Tensor) -> Tensor:
    """The mean distance of two different draws (N, S, K) at each image, (N,); 0 if there is one."""
    count = draws.shape[1]
    return _distances(draws, draws).sum((1, 2)) / max(1, count * (count - 1))


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """The Euclidean distances (N, S, R) of draws; products of matrices would give equal draws a distance."""
    import torch

    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
