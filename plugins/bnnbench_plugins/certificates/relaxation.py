"""The bounds of `crown`: per draw, joint, and joint with slopes that are optimised, for chunks of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bnnbench import Predictive, Threat
from bnnbench_plugins.certificates import odds
from bnnbench_plugins.certificates.ascent import Ascent, Member
from bnnbench_plugins.certificates.ensemble_bounds import Differences, EnsembleBounds
from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.region import Cut, Region, region_of

NEAR = 1e-6
"""The smallest bound above which no cut looks: that of images that a cut proves."""
OUT_OF_REACH = -0.3
"""The bound below which an image is not looked at again: ascent and cuts raise bounds by a tenth or so."""
MEMORY = 2**26
"""The largest number of float64 values that are held at a time: half a gigabyte."""


def _possible(bound: Tensor) -> Tensor:
    """Bounds of p_y - p_k that the allowance for rounding has moved below -1, which none can be, as -1."""
    return bound.clamp(min=-1.0)


class Relaxation:
    """Lower bounds of the smallest p_y - p_k of images.

    Args:
        predictive: the ensemble.
        draws: the positions of the draws that defend.
        x: images (N, *shape).
        threat: the ball and the box.
        refined: as in `NetworkBounds`.
    """

    def __init__(self, predictive: Predictive, draws: Sequence[int], x: Tensor, threat: Threat, refined: int) -> None:
        self._bounds = EnsembleBounds(predictive, draws, x, refined)
        self._region = region_of(x, threat, predictive)

    def bounds(self, y: Tensor, *, joint: bool, steps: int, cuts: int) -> Tensor:
        """The bounds (N,), in float64, for labels y (N,)."""
        return _possible(self._in_chunks(y, lambda images, labels: self._of_chunk(images, labels, joint, steps, cuts)))

    def by_intervals(self, y: Tensor) -> Tensor:
        """The bounds (N,) of interval bounds alone."""
        return _possible(
            self._in_chunks(y, lambda some, labels: self._bounds.by_intervals(self._region.at(some), labels).amin(1))
        )

    def margins(self, y: Tensor) -> Tensor:
        """Lower bounds (S, N) of each draw's smallest difference of logits z_y - z_k."""
        return self._in_chunks(
            y, lambda some, labels: self._bounds.margins(self._region.at(some), labels).lower.amin(2).T
        ).T

    def _in_chunks(self, y: Tensor, bounds: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        y = y.to(self._region.centre.device)
        with torch.no_grad():
            return torch.cat([bounds(some, y[some]) for some in torch.arange(len(y)).split(self._size)])

    @property
    def _size(self) -> int:
        """The number of regions at a time: rows of both signs through the widest layer, and intervals of all layers."""
        return max(1, MEMORY // (16 * self._bounds.classes * self._bounds.widest + 3 * self._bounds.units))

    def _of_chunk(self, images: Tensor, y: Tensor, joint: bool, steps: int, cuts: int) -> Tensor:
        region = self._region.at(images)
        found = self._bounds.differences(region, y)
        if not joint:
            return found.per_draw.amin(1)
        bound = torch.maximum(found.per_draw, found.joint)
        if steps:
            self._ascend(bound, region, y, found, steps)
        if cuts and region.norm == "linf":
            self._cut(bound, region, y, found, cuts)
        return bound.amin(1)

    def _ascend(self, bound: Tensor, region: Region, y: Tensor, found: Differences, steps: int) -> None:
        """Raise those of the bounds (n, K - 1) that are not positive by gradient ascent of the joint form."""
        held = 3 * len(self._bounds.networks) * self._bounds.units + 16 * self._bounds.widest
        for of, k in _pairs(bound, MEMORY // held):
            own, inverse = of.unique(return_inverse=True)
            members = []
            for draw, network in enumerate(self._bounds.networks):
                bounds = network.kept(network.propagate(region.at(own))).at(inverse)
                lower = found.margins.lower[draw]
                pair = Interval(lower[of, k], found.margins.upper[draw][of, k])
                members.append(Member(network, bounds, pair, odds.others(lower)[of, k]))
            rows = odds.differences(y, self._bounds.classes)[of, k][:, None]
            better = Ascent(region.at(of), rows, members).best(steps, self._bounds.rounding) - self._bounds.rounding
            bound[of, k] = torch.maximum(bound[of, k], better)

    def _cut(self, bound: Tensor, region: Region, y: Tensor, found: Differences, cuts: int) -> None:
        """Raise those of the bounds (n, K - 1) that are not positive by bounds over the inputs that may be adversarial.

        An input at which the difference is at most `NEAR` lies where the joint form, which is below the difference, is
        at most `NEAR`: on one side of a plane. Bounds over this part of the region are tighter. If they are positive,
        or exclude each other, there is no such input.
        """
        near = self._bounds.rounding + NEAR
        for of, k in _pairs(bound, self._size):
            slope, constant, left = found.slope[of, k], found.constant[of, k], region.at(of)
            at = torch.arange(len(of), device=of.device)
            for _ in range(cuts):
                # Widened by far more than the rounding of these two, which a slope near zero would magnify.
                limit = near - constant + 1e-9 * (1 + constant.abs())
                part = replace(left, cut=Cut(slope, limit))
                again = self._bounds.differences(part, y[of])
                better = torch.maximum(again.per_draw[at, k], again.joint[at, k])
                better[again.empty] = 1.0
                bound[of, k] = torch.maximum(bound[of, k], better.clamp(max=NEAR))
                slope, constant = again.slope[at, k], again.constant[at, k]


def _pairs(bound: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images and classes (P,) whose bounds are not positive, in chunks; not those of images out of reach."""
    within_reach = bound.amin(1, keepdim=True) > OUT_OF_REACH
    pairs = ((bound <= 0) & within_reach).nonzero()
    for some in pairs.split(max(1, size)) if len(pairs) else ():
        of, k = some.unbind(1)
        yield of, k
