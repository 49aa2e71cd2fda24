"""Bounds of activations by lines, over an interval of their input.

Any slope k gives a lower and an upper line of f: k x + min (f - k x) and k x + max (f - k x), the extremes being taken
over the interval. So slopes may be chosen freely, and optimised; a poor slope costs tightness, never soundness. The
extremes are attained at the ends of the interval, at kinks of f, or where f' = k: `turning` names these points.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.rounding import ULPS
from bnnbench_plugins.certificates.steps import Computed, Slopes, Step


class Activation(Step):
    """An activation of each coordinate. It rises everywhere, unless its class has `values` of its own."""

    independent = True
    convex = False
    """Whether f is convex. The chord is then the best upper line, and its slope is not optimised."""

    def __init__(self, source: int) -> None:
        self.sources = (source,)

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """f at x."""

    @abstractmethod
    def turning(self, slope: Tensor) -> list[Tensor]:
        """Points at which f(x) - slope x may have an extreme: those with f' = slope, and kinks."""

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        error = self.error(inputs[0], unit)
        return Computed(self.values(inputs[0]).widened(error), error, self.reach(inputs[0]))

    def reach(self, given: Interval) -> Tensor | None:
        """A bound (N, *shape) of what is computed on the way, None if it is no larger than input and value."""
        return None

    def error(self, given: Interval, unit: float) -> Tensor:
        """A bound of the error of computed values, (N, *shape)."""
        return ULPS * unit * (1 + given.magnitude)

    def values(self, given: Interval) -> Interval:
        """The values of f over the interval."""
        return Interval(self.value(given.lower), self.value(given.upper))

    def slopes(self, given: Interval) -> Slopes:
        """The slopes of the lines that are used unless others are given: those of the chord."""
        chord = _chord(self.value, given)
        return chord, chord

    def offset(self, slope: Tensor, given: Interval, *, lower: bool) -> Tensor:
        """The offset of the lower or the upper line with this slope."""
        points = [point.clamp(given.lower, given.upper) for point in self.turning(slope.detach())]
        at = [self.value(point) - slope * point for point in (given.lower, given.upper, *points)]
        extreme = at[0]
        for one in at[1:]:
            extreme = torch.minimum(extreme, one) if lower else torch.maximum(extreme, one)
        return extreme

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        (given,) = inputs
        low, high = self.slopes(given) if slopes is None else slopes
        # A positive coefficient takes the lower line, a negative one the upper line.
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        constant = inner(positive, self.offset(low, given, lower=True)) + inner(
            negative, self.offset(high, given, lower=False)
        )
        return [positive * low[:, None] + negative * high[:, None]], constant


def _chord(value: Callable[[Tensor], Tensor], given: Interval) -> Tensor:
    """The slope of the line through both ends of f over the interval; 0 for an interval of no width."""
    width = given.upper - given.lower
    return (value(given.upper) - value(given.lower)) / width.clamp(min=1e-12) * (width > 1e-12)


class LeakyReLU(Activation):
    """The larger of x and `leak` x, for 0 <= leak <= 1; ReLU has the leak 0."""

    convex = True

    def __init__(self, source: int, leak: float) -> None:
        super().__init__(source)
        self.leak = leak

    def value(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.leak * x)

    def turning(self, slope: Tensor) -> list[Tensor]:
        return [torch.zeros_like(slope)]

    def error(self, given: Interval, unit: float) -> Tensor:
        return ULPS * unit * self.leak * given.magnitude  # ReLU rounds nothing.

    def slopes(self, given: Interval) -> Slopes:
        # Of both sides of the kink, the lower line follows the longer one (Zhang et al. 2018).
        longer = (given.upper > -given.lower).to(given.lower)
        return self.leak + (1 - self.leak) * longer, _chord(self.value, given)


class Tanh(Activation):
    """The hyperbolic tangent."""

    def value(self, x: Tensor) -> Tensor:
        return x.tanh()

    def error(self, given: Interval, unit: float) -> Tensor:
        return ULPS * unit * torch.ones_like(given.lower)

    def turning(self, slope: Tensor) -> list[Tensor]:
        point = (1 - slope).clamp(0, 1).sqrt().atanh()
        return [point, -point]


class Sigmoid(Activation):
    """The logistic function."""

    def value(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def error(self, given: Interval, unit: float) -> Tensor:
        return ULPS * unit * torch.ones_like(given.lower)

    def turning(self, slope: Tensor) -> list[Tensor]:
        point = 2 * (1 - 4 * slope).clamp(0, 1).sqrt().atanh()
        return [point, -point]


class Softplus(Activation):
    """log(1 + exp(beta x)) / beta, which torch replaces by x where beta x is above `threshold`.

    `beta` is not 0. It rises everywhere, and is convex for a positive beta and concave for a negative one. The two
    differ by log(1 + exp(-beta x)) / |beta| where beta x is above the threshold, which is part of the error.
    """

    def __init__(self, source: int, beta: float, threshold: float) -> None:
        super().__init__(source)
        self.beta, self.threshold, self.convex = beta, threshold, beta > 0
        # The logarithm, in a form that does not overflow.
        self.replaced = (max(-threshold, 0.0) + math.log1p(math.exp(-abs(threshold)))) / abs(beta)

    def value(self, x: Tensor) -> Tensor:
        return F.softplus(self.beta * x, threshold=500) / self.beta

    def turning(self, slope: Tensor) -> list[Tensor]:
        return [slope.clamp(0, 1).logit() / self.beta]

    def error(self, given: Interval, unit: float) -> Tensor:
        return super().error(given, unit) * max(1.0, 1 / abs(self.beta)) + self.replaced

    def reach(self, given: Interval) -> Tensor:
        product = torch.maximum(self.beta * given.lower, self.beta * given.upper)
        exponential = product.clamp(max=self.threshold).exp()
        return exponential + abs(self.beta) * given.magnitude


class ELU(Activation):
    """x for x > 0, exp(x) - 1 otherwise."""

    convex = True

    def value(self, x: Tensor) -> Tensor:
        return F.elu(x)

    def turning(self, slope: Tensor) -> list[Tensor]:
        return [slope.clamp(0, 1).log(), torch.zeros_like(slope)]


class Curved(Activation):
    """A smooth activation, rising or not, whose second derivative is at most `curvature` in absolute value.

    The extremes of f - k x are sought on a grid: between two points at a distance h, a function with this second
    derivative lies at most curvature h^2 / 8 beyond the nearer of its values there.
    """

    POINTS = 33

    def __init__(self, source: int, function: Callable[[Tensor], Tensor], curvature: float) -> None:
        super().__init__(source)
        self._function, self._curvature = function, curvature

    def value(self, x: Tensor) -> Tensor:
        return self._function(x)

    def turning(self, slope: Tensor) -> list[Tensor]:
        return []

    def values(self, given: Interval) -> Interval:
        flat = torch.zeros_like(given.lower)
        return Interval(self.offset(flat, given, lower=True), self.offset(flat, given, lower=False))

    def offset(self, slope: Tensor, given: Interval, *, lower: bool) -> Tensor:
        width = given.upper - given.lower
        beyond = self._curvature * (width / (self.POINTS - 1)).square() / 8
        extreme = None
        for share in torch.linspace(0, 1, self.POINTS, dtype=width.dtype):
            point = given.lower + share * width
            one = self.value(point) - slope * point
            if extreme is None:
                extreme = one
            extreme = torch.minimum(extreme, one) if lower else torch.maximum(extreme, one)
        assert extreme is not None
        return extreme - beyond if lower else extreme + beyond
