"""Bounds of all layers of one draw's network over a region, and lower bounds that are affine in its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bnnbench_plugins.certificates import rounding
from bnnbench_plugins.certificates.activations import Activation
from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.log_softmax import LogSoftmax
from bnnbench_plugins.certificates.max_pool import MaxPool
from bnnbench_plugins.certificates.region import Region
from bnnbench_plugins.certificates.steps import Affine, Slopes, Step

ELEMENTS = 2**24
"""The largest number of coefficients of one product of rows: 128 MB in float64."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of the values of all steps, and of their rounding errors; None where nothing needs them.

    `overflow` (N,) says over which regions a value may overflow in the predictive's type. The bounds say nothing there.
    """

    intervals: list[Interval | None]
    errors: list[Tensor | None]
    overflow: Tensor

    def at(self, regions: Tensor) -> Bounds:
        """The bounds over the regions at these positions."""
        return Bounds(
            [None if one is None else one.at(regions) for one in self.intervals],
            [None if one is None else one[regions] if len(one) > 1 else one for one in self.errors],
            self.overflow[regions],
        )


class NetworkBounds:
    """Bounds of one network, whose first step stands for its input and whose last gives its logits.

    Args:
        steps: the steps; the first is not used.
        dtype: the type in which the predictive computes.
        refined: the largest number of units of a layer whose bounds are refined by linear relaxation; 0 for none.

    `activations` are the positions of the activations, whose slopes can be chosen.
    """

    def __init__(self, steps: Sequence[Step | None], dtype: torch.dtype, refined: int = 0) -> None:
        self.steps, self.refined = steps, refined
        self.unit, self._largest = rounding.unit_of(dtype), rounding.largest(dtype)
        self._lines = {place for place, step in enumerate(steps) if isinstance(step, Activation | MaxPool)}
        self._relaxed = {step.sources[0] for step in steps if isinstance(step, Activation | MaxPool)}
        self.activations = [place for place, step in enumerate(steps) if isinstance(step, Activation)]

    def propagate(self, region: Region, *, refine: bool = True) -> Bounds:
        """Bounds of the computed values of each step, over the inputs of the region.

        They are interval bounds. Those of an activation's inputs are intersected with bounds by linear relaxation
        (Zhang et al. 2018), unless intervals lose nothing there or the layer has too many units. A cut of the region is
        left out of account: it would cost more than all the rest, and narrows the bounds of logits too. Without
        `refine`, they are interval bounds alone.
        """
        region = replace(region, cut=None)
        bounds = Bounds([region.box], [None], self._overflows(region.box.magnitude))
        independent = [region.is_box]
        for position, step in enumerate(self.steps[1:], start=1):
            assert step is not None
            found = step.computed([self._interval(bounds, source) for source in step.sources], self.unit)
            interval = found.interval
            bounds.intervals.append(interval)
            bounds.errors.append(found.error)
            for values in (interval.magnitude, found.reach):
                if values is not None:
                    bounds.overflow.logical_or_(self._overflows(values))
            tight = len(step.sources) == 1 and independent[step.sources[0]]
            independent.append(tight and step.independent)
            if refine and position in self._relaxed and not tight and interval.lower[0].numel() <= self.refined:
                bounds.intervals[position] = interval.within(self._refined(bounds, region, position))
        return bounds

    def _overflows(self, values: Tensor) -> Tensor:
        """Whether values (N, ...) may overflow, (N,). Those that are not numbers may."""
        return ~(values.detach().flatten(1) <= self._largest).all(1)

    def _refined(self, bounds: Bounds, region: Region, position: int) -> Interval:
        """Bounds of a step's values by linear relaxation of the steps before."""
        interval = self._interval(bounds, position)
        shape = interval.lower.shape[1:]
        size = shape.numel()
        largest = max(one.lower[0].numel() for one in bounds.intervals[: position + 1] if one is not None)
        rows = torch.eye(size, dtype=interval.lower.dtype, device=interval.lower.device).reshape(1, size, *shape)
        parts = []
        for some in rows.split(max(1, ELEMENTS // (2 * largest * len(region))), dim=1):
            least = self.minimum(bounds, region, torch.cat([some, -some], 1), position)
            parts.append(least.unflatten(1, (2, -1)))
        lower, upper = torch.cat(parts, 2).unbind(1)
        return Interval(lower.reshape(-1, *shape), -upper.reshape(-1, *shape))

    def minimum(self, bounds: Bounds, region: Region, rows: Tensor, position: int = -1) -> Tensor:
        """Lower bounds (N, R) of products of rows (N, R, *shape) with a step's computed values over the region."""
        coefficients, constants = self.affine(bounds, rows, position)
        return region.minimum(coefficients) + constants

    def minimum_by_intervals(self, bounds: Bounds, rows: Tensor) -> Tensor:
        """Lower bounds (N, R) of products of rows (N, R, K) with the logits, from intervals of the layer before."""
        place, total = len(self.steps) - 1, rows.new_zeros(rows.shape[:2])
        while isinstance(step := self.steps[place], Affine | LogSoftmax):
            error = bounds.errors[place]
            assert error is not None
            through = rows
            (rows,), constant = step.back(through, [], None)
            total, place = total + constant - inner(through.abs(), error), step.sources[0]
            if isinstance(step, Affine):
                break
        return _least(rows, self._interval(bounds, place)) + total

    def affine(
        self, bounds: Bounds, rows: Tensor, position: int = -1, slopes: Mapping[int, Slopes] | None = None
    ) -> tuple[Tensor, Tensor]:
        """A lower bound of products of rows (N, R, *shape) with a step's computed values, affine in the inputs.

        Returns the coefficients (N, R, *input) and constants (N, R). Steps are replaced by lines from the last to the
        first. `slopes` are those of activations by position; others have slopes of their own choice.
        """
        position %= len(self.steps)
        pending: dict[int, Tensor] = {position: rows}
        constant = rows.new_zeros(rows.shape[:2])
        for place in range(position, 0, -1):
            if place not in pending:
                continue
            through, step, error = pending.pop(place), self.steps[place], bounds.errors[place]
            assert step is not None
            if error is not None:
                constant = constant - inner(through.abs(), error)
            inputs = [self._interval(bounds, source) for source in step.sources] if place in self._lines else []
            parts, more = step.back(through, inputs, None if slopes is None else slopes.get(place))
            constant = constant + more
            for source, part in zip(step.sources, parts, strict=True):
                pending[source] = pending[source] + part if source in pending else part
        return pending[0], constant

    def kept(self, bounds: Bounds) -> Bounds:
        """The bounds without those that linear relaxation does not need."""
        intervals = [one if place in self._relaxed else None for place, one in enumerate(bounds.intervals)]
        return Bounds(intervals, bounds.errors, bounds.overflow)

    @staticmethod
    def _interval(bounds: Bounds, position: int) -> Interval:
        interval = bounds.intervals[position]
        assert interval is not None
        return interval


def _least(rows: Tensor, values: Interval) -> Tensor:
    """The least products (N, R) of rows with values in an interval."""
    return inner(rows.clamp(min=0), values.lower) + inner(rows.clamp(max=0), values.upper)
