"""Lower bounds of differences of the predictive's probabilities over regions of inputs.

`odds` has the notation. The form *per draw* is the mean over draws of phi(low), each draw at its own worst input. The
*joint* form puts a line below each draw's phi: the mean becomes one function of all draws' logits, and one linear
relaxation of it through all draws bounds it over the region that they share. So the draws cannot all be at their
worst inputs at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bnnbench import Predictive
from bnnbench_plugins.certificates import odds, rounding
from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.layers import Layers
from bnnbench_plugins.certificates.network_bounds import NetworkBounds
from bnnbench_plugins.certificates.region import Region
from bnnbench_plugins.certificates.trial import check_on_trial


@dataclass(frozen=True, eq=False)
class Differences:
    """Lower bounds (N, K - 1) of the predictive's p_y - p_k in both forms.

    The joint form is the least value of `slope` (N, K - 1, *shape) times the input plus `constant` (N, K - 1); it
    bounds the difference that exact softmax would make of the computed logits, and the other two allow for rounding
    too. `margins` are bounds (S, N, K - 1) of each draw's z_y - z_k. `empty` (N,) says which regions turned out to hold
    no input: a lower bound of a margin is above its upper bound.
    """

    per_draw: Tensor
    joint: Tensor
    slope: Tensor
    constant: Tensor
    margins: Interval
    empty: Tensor


class EnsembleBounds:
    """Bounds of an ensemble's logits and probabilities, as it computes them.

    Args:
        predictive: the ensemble.
        draws: the positions of the draws that defend.
        x: inputs, for the shapes of layers.
        refined: the largest number of units of a layer whose bounds are refined (`NetworkBounds`).

    Attributes: `networks` are the bounds of each draw's network; `classes` is K; `units` is the number of values of all
    layers of one draw, and `widest` that of the widest; `rounding` bounds the error with which differences of
    probabilities are computed from logits.
    """

    def __init__(self, predictive: Predictive, draws: Sequence[int], x: Tensor, refined: int = 0) -> None:
        layers = Layers(predictive, x)
        self.networks = [NetworkBounds(layers.steps(draw), predictive.dtype, refined) for draw in draws]
        check_on_trial(predictive, draws, x, self.networks)
        unit = rounding.unit_of(predictive.dtype)
        self.classes, self.units, self.widest = layers.classes, sum(layers.sizes), max(layers.sizes)
        self.rounding = rounding.of_probabilities(len(draws), layers.classes, unit)

    def by_intervals(self, region: Region, y: Tensor) -> Tensor:
        """Lower bounds (N, K - 1) of p_y - p_k from interval bounds of each draw's logits."""
        rows = odds.differences(y, self.classes)
        lower = []
        overflow = torch.zeros(len(region), dtype=torch.bool, device=rows.device)
        for network in self.networks:
            bounds = network.propagate(region)
            overflow |= bounds.overflow
            lower.append(network.minimum_by_intervals(bounds, rows))
        return _unproven(_mean_phi(torch.stack(lower)) - self.rounding, overflow)

    def margins(self, region: Region, y: Tensor) -> Interval:
        """Bounds (S, N, K - 1) of each draw's z_y - z_k by linear relaxation."""
        rows = odds.differences(y, self.classes)
        return _stacked([_relaxed(network, region, rows).margins for network in self.networks])

    def differences(self, region: Region, y: Tensor) -> Differences:
        """Lower bounds of p_y - p_k by linear relaxation, in one pass over the draws.

        The relaxation of a multiple of z_y - z_k is that multiple of its relaxation, so that one pass serves both
        forms.
        """
        rows = odds.differences(y, self.classes)
        slope: Tensor | float = 0.0
        constant: Tensor | float = 0.0
        margins = []
        empty = torch.zeros(len(region), dtype=torch.bool, device=rows.device)
        overflow = torch.zeros_like(empty)
        for network in self.networks:
            one = _relaxed(network, region, rows)
            empty |= one.empty
            overflow |= one.overflow
            margin, rest = one.margins, odds.others(one.margins.lower)
            weight = odds.chord(margin, rest)
            slope = slope + weight.reshape(*weight.shape, *[1] * (one.slope.ndim - 2)) * one.slope
            constant = constant + weight * one.constant + odds.offset(weight, margin, rest)
            margins.append(margin)
        assert isinstance(slope, Tensor)
        assert isinstance(constant, Tensor)
        slope, constant = slope / len(margins), constant / len(margins)
        slope[overflow], constant[overflow] = 0.0, -1.0
        joint = _unproven(region.minimum(slope) + constant - self.rounding, overflow)
        every = _stacked(margins)
        per_draw = _unproven(_mean_phi(every.lower) - self.rounding, overflow)
        return Differences(per_draw, joint, slope, constant, every, empty & ~overflow)


@dataclass(frozen=True, eq=False)
class _Relaxed:
    """Lower bounds of R products of rows with a draw's logits: affine in the inputs, and as numbers.

    `slope` is (N, R, *shape) and `constant` (N, R). `margins` bound the products. `empty` (N,) says which regions are
    found to hold no input, and `overflow` (N,) over which a value may overflow: the margins are infinite there.
    """

    slope: Tensor
    constant: Tensor
    margins: Interval
    empty: Tensor
    overflow: Tensor


def _relaxed(network: NetworkBounds, region: Region, rows: Tensor) -> _Relaxed:
    """The lower relaxation of products of rows with a draw's logits."""
    bounds = network.propagate(region)
    both = torch.cat([rows, -rows], 1)
    coefficients, constants = network.affine(bounds, both)
    least = torch.maximum(region.minimum(coefficients) + constants, network.minimum_by_intervals(bounds, both))
    least[bounds.overflow] = -torch.inf
    lower, upper = least.chunk(2, 1)
    return _Relaxed(
        coefficients.chunk(2, 1)[0],
        constants.chunk(2, 1)[0],
        Interval(lower, (-upper).maximum(lower)),
        (lower > -upper).any(1),
        bounds.overflow,
    )


def _unproven(bound: Tensor, overflow: Tensor) -> Tensor:
    """The bounds (N, K - 1), and -1 of regions over which a value may overflow."""
    return bound.masked_fill(overflow[:, None], -1.0)


def _mean_phi(lower: Tensor) -> Tensor:
    """The mean over draws of phi at lower bounds (S, N, K - 1)."""
    return odds.phi(lower, odds.others(lower)).mean(0)


def _stacked(intervals: Sequence[Interval]) -> Interval:
    """The intervals of all draws along a first axis."""
    return Interval(torch.stack([one.lower for one in intervals]), torch.stack([one.upper for one in intervals]))
