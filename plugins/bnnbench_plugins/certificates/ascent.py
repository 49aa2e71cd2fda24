"""Choose the slopes of the joint relaxation by gradient ascent of its bound (alpha-CROWN, Xu et al. 2021).

The slopes are those of the lines below each draw's phi, and of the lines of each activation of each draw. Whatever they
are, the bound holds, so that the best of all steps is taken. One bound is the least value over the region of a function
that is affine in the inputs; by the envelope theorem its gradient is that of the function at the least input. So each
step takes two passes over the draws, one for the input and one for the gradients, and holds one draw's graph at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bnnbench_plugins.certificates import odds
from bnnbench_plugins.certificates.activations import Activation
from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.network_bounds import Bounds, NetworkBounds
from bnnbench_plugins.certificates.region import Region
from bnnbench_plugins.certificates.steps import Slopes

RATE = 0.02
"""Adam's first step for slopes of activations, which lie in [0, 1]. Steps shrink along half a cosine."""
ODDS_RATE = 0.01
"""The same for slopes of phi, which lie in [0, 1/2]. Tenfold rates overshoot and end below the start."""


@dataclass(frozen=True, eq=False)
class Member:
    """One draw in the joint bound of P pairs of a region and a class.

    `margins` (P,) and `rest` (P,) are of the pairs.
    """

    network: NetworkBounds
    bounds: Bounds
    margins: Interval
    rest: Tensor


class Ascent:
    """The joint lower bounds of the mean over draws of p_y - p_k, for P pairs of a region and a class k.

    Args:
        region: the region of each pair.
        rows: the row (P, 1, K) of each pair, whose product with logits is z_y - z_k.
        members: the draws.
    """

    def __init__(self, region: Region, rows: Tensor, members: Sequence[Member]) -> None:
        self.region, self.rows, self.members = region, rows, members
        self.weights = [odds.chord(member.margins, member.rest) for member in members]
        self.slopes: list[dict[int, Slopes]] = [_slopes(member) for member in members]

    def best(self, steps: int, enough: float) -> Tensor:
        """The best bounds (P,) of the slopes at the start and after each step; it stops if all are above `enough`."""
        free = self._free()
        for one in free:
            one.requires_grad_()
        optimiser = torch.optim.Adam(
            [{"params": self.weights, "lr": ODDS_RATE}, {"params": free[len(self.weights) :], "lr": RATE}]
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
        best, least = self._bound()
        for _ in range(steps):
            self._differentiate(least)
            optimiser.step()
            schedule.step()
            bound, least = self._bound()
            best = torch.maximum(best, bound)
            if (best > enough).all():
                break
        return best

    def _free(self) -> list[Tensor]:
        """The slopes that are optimised: an upper line of a convex activation is the chord."""
        free = list(self.weights)
        for member, slopes in zip(self.members, self.slopes, strict=True):
            for place, (low, high) in slopes.items():
                step = member.network.steps[place]
                assert isinstance(step, Activation)
                free += [low] if step.convex else [low, high]
        return free

    def _bound(self) -> tuple[Tensor, Tensor]:
        """The bounds (P,), and the inputs (P, *shape) at which the affine functions are least."""
        with torch.no_grad():
            total: Tensor | float = 0.0
            constant: Tensor | float = 0.0
            for place in range(len(self.members)):
                coefficients, own = self._affine(place)
                total, constant = total + coefficients, constant + own
            assert isinstance(total, Tensor)
            bound = (self.region.minimum(total) + constant)[:, 0] / len(self.members)
            return bound, self.region.minimiser(total)[:, 0]

    def _affine(self, place: int) -> tuple[Tensor, Tensor]:
        """A draw's part of the sum: the coefficients (P, 1, *shape) and constants (P, 1)."""
        member, weight = self.members[place], self.weights[place]
        rows = self.rows * weight[:, None, None]
        coefficients, constant = member.network.affine(member.bounds, rows, slopes=self.slopes[place])
        return coefficients, constant + odds.offset(weight, member.margins, member.rest)[:, None]

    def _differentiate(self, least: Tensor) -> None:
        """Set the gradients of all slopes for a step that raises the bounds at the least inputs."""
        for place in range(len(self.members)):
            with torch.enable_grad():
                coefficients, constant = self._affine(place)
                loss = -(inner(coefficients, least) + constant).sum()
            mine = [one for one in (self.weights[place], *_flat(self.slopes[place])) if one.requires_grad]
            for one, gradient in zip(mine, torch.autograd.grad(loss, mine), strict=True):
                one.grad = gradient


def _slopes(member: Member) -> dict[int, Slopes]:
    """The slopes of a draw's activations to start from."""
    slopes: dict[int, Slopes] = {}
    for place in member.network.activations:
        step = member.network.steps[place]
        assert isinstance(step, Activation)
        given = member.bounds.intervals[step.sources[0]]
        assert given is not None
        low, high = step.slopes(given)
        slopes[place] = (low.clone(), high.clone())
    return slopes


def _flat(slopes: Mapping[int, Slopes]) -> list[Tensor]:
    return [one for pair in slopes.values() for one in pair]
