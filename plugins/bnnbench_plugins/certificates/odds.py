"""Differences of probabilities as functions of differences of logits, and lines below them.

For the logits z of one draw, let m = z_y - z_k, and let R be an upper bound of the sum over the other classes j of
exp(z_j - z_y). Then p_y - p_k >= phi(m):

    phi(m) = tanh(m / 2)                                for m < 0, since p_y - p_k = (p_y + p_k) tanh(m / 2)
    phi(m) = (1 - exp(-m)) / (1 + exp(-m) + R)          for m >= 0, p_y being 1 / (1 + exp(-m) + R) or more

On [low, high], the line slope * m + offset(slope) is a lower bound of phi, whatever the slope. phi rises, is convex
below 0 and concave above, and its slope falls at 0, so that phi(m) - slope * m has its least value at an end, at 0, or
where phi' = slope below 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bnnbench_plugins.certificates.intervals import Interval


def differences(y: Tensor, classes: int) -> Tensor:
    """Rows (N, K - 1, K) whose products with logits are z_y - z_k, for the classes k other than the labels y (N,)."""
    every = torch.eye(classes, dtype=torch.float64, device=y.device).expand(len(y), classes, classes)
    others = every[one_hot(y, classes) == 0].reshape(len(y), classes - 1, classes)
    return one_hot(y, classes)[:, None].double() - others


def others(lower: Tensor) -> Tensor:
    """The upper bounds R (..., K - 1) from lower bounds of the differences of logits."""
    odds = (-lower).clamp(max=300).exp()
    # A sum without the own term: a difference would cancel.
    return odds @ (1 - torch.eye(odds.shape[-1], dtype=odds.dtype, device=odds.device))


def phi(m: Tensor, rest: Tensor) -> Tensor:
    """The lower bound of p_y - p_k at m, where `rest` is R."""
    small = (-m.clamp(min=0)).exp()
    return torch.where(m < 0, (m / 2).tanh(), (1 - small) / (1 + small + rest))


def chord(margins: Interval, rest: Tensor) -> Tensor:
    """The slope of the line through both ends of phi."""
    width = margins.upper - margins.lower
    rise = phi(margins.upper, rest) - phi(margins.lower, rest)
    return rise / width.clamp(min=1e-12) * (width > 1e-12)


def offset(slope: Tensor, margins: Interval, rest: Tensor) -> Tensor:
    """The largest offset of a line with this slope that is below phi on the interval."""
    turning = -2 * (1 - 2 * slope.detach()).clamp(0, 1).sqrt().atanh()
    points = [margins.lower, margins.upper]
    points += [point.clamp(margins.lower, margins.upper) for point in (torch.zeros_like(turning), turning)]
    least = phi(points[0], rest) - slope * points[0]
    for point in points[1:]:
        least = torch.minimum(least, phi(point, rest) - slope * point)
    return least
