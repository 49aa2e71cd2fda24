"""The inputs that an attacker may reach: a ball around each image, within the box."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bnnbench import Incompatible, Predictive, Threat
from bnnbench_plugins.certificates.intervals import Interval, inner

HALVINGS = 30
"""Halvings of the interval of the multiplier of the ball's constraint."""
CUT_HALVINGS = 10
"""The same for a cut, where the multiplier is needed less exactly: any gives a bound."""
SIZES: dict[str, Callable[[int], float]] = {"linf": lambda size: 1.0, "l2": math.sqrt, "l1": float}
"""The length in each norm of a vector of ones, by its size."""


@dataclass(frozen=True, eq=False)
class Cut:
    """The inputs whose product with `slope` (N, *shape) is at most `limit` (N,), for each of N regions."""

    slope: Tensor
    limit: Tensor


@dataclass(frozen=True, eq=False)
class Region:
    """The inputs within `box` whose distance from `centre` (N, *shape), in the norm, is at most `radius`.

    In the linf norm the box alone is the region, and a cut may narrow it. The box need not hold the centre.
    """

    centre: Tensor
    box: Interval
    radius: float
    norm: str
    cut: Cut | None = None

    def __len__(self) -> int:
        return len(self.centre)

    @property
    def is_box(self) -> bool:
        """Whether the region is a box, so that its coordinates are independent."""
        return self.norm == "linf" and self.cut is None

    def at(self, images: Tensor) -> Region:
        """The regions of the images at these positions."""
        cut = None if self.cut is None else Cut(self.cut.slope[images], self.cut.limit[images])
        return Region(self.centre[images], self.box.at(images), self.radius, self.norm, cut)

    def minimum(self, rows: Tensor) -> Tensor:
        """Lower bounds (N, R) of the products of rows (N, R, *shape) with the inputs of each region."""
        half = inner(rows.abs(), (self.box.upper - self.box.lower) / 2)
        least = inner(rows, (self.box.upper + self.box.lower) / 2) - half
        if self.is_box:
            return least
        if self.cut is not None:
            return torch.maximum(least, self._least_in_cut(rows, self.cut))
        if len(rows) < len(self):  # Rows of a first layer: the dual norm is bound enough, and takes less memory.
            order = torch.inf if self.norm == "l1" else 2
            dual = rows.flatten(2).norm(order, dim=2)
            return torch.maximum(least, inner(rows, self.centre) - self.radius * dual)
        return torch.maximum(least, inner(rows, self.centre) + self._least_step(rows)[1])

    def minimiser(self, rows: Tensor) -> Tensor:
        """Inputs (N, R, *shape) at which the products with the rows are about minimal, without regard to a cut."""
        if self.norm == "linf":
            return torch.where(rows > 0, self.box.lower[:, None], self.box.upper[:, None])
        return self.centre[:, None] + self._least_step(rows)[0]

    def _least_in_cut(self, rows: Tensor, cut: Cut) -> Tensor:
        """Lower bounds (N, R) of the products over box and cut.

        For every multiplier t >= 0, the least value of (rows + t slope) . x - t limit over the box is one. It is
        concave in t, so that the best t is found by bisection of its derivative.
        """
        middle, half = (self.box.upper + self.box.lower) / 2, ((self.box.upper - self.box.lower) / 2).flatten(1)
        slope, excess = cut.slope.flatten(1), inner(cut.slope[:, None], middle) - cut.limit[:, None]
        flat = rows.flatten(2)
        small = flat.new_zeros(len(self), flat.shape[1])
        # Above this multiplier nearly all signs are those of the cut's slope.
        large = small + 8 * flat.abs().mean(2) / slope.abs().mean(1, keepdim=True).clamp(min=1e-300)
        best = small - torch.inf
        for _ in range(CUT_HALVINGS):
            t = (small + large) / 2
            both = flat + t[:, :, None] * slope[:, None]
            best = torch.maximum(best, t * excess - inner(both.abs(), half))
            rises = excess > torch.einsum("nrd,nd->nr", both.sign(), slope * half)
            small, large = t.where(rises, small), large.where(rises, t)
        return inner(rows, middle) + best

    def _least_step(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Steps (N, R, *shape) from the centre with about the least products, and lower bounds (N, R) of these.

        For every multiplier t >= 0, the least value of rows . d + t (length(d) - length of the radius) over the box is
        a lower bound, and it is attained coordinate by coordinate. The best t is found by bisection: the step's length
        falls as t rises. Lengths are |d| in l1, and d^2 / 2 in l2.
        """
        low, high = ((edge - self.centre)[:, None] for edge in (self.box.lower, self.box.upper))
        limit = self.radius if self.norm == "l1" else self.radius**2 / 2
        small = rows.new_zeros(rows.shape[:2])
        large = rows.flatten(2).abs().amax(2)
        if self.norm == "l2":
            large = 4 * rows.flatten(2).norm(dim=2) / max(self.radius, 1e-300)
        large = large.clamp(min=1e-300)
        for _ in range(HALVINGS):
            middle = (small + large) / 2
            step = self._step(rows, middle, low, high)
            too_long = self._length(step) > limit
            small, large = middle.where(too_long, small), large.where(too_long, middle)
        step = self._step(rows, large, low, high)
        value = (rows * step).flatten(2).sum(2) + large * (self._length(step) - limit)
        return step, value

    def _step(self, rows: Tensor, multiplier: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The step in the box, of which rows . d + multiplier length(d) is least."""
        t = multiplier.reshape(*multiplier.shape, *[1] * (rows.ndim - 2))
        if self.norm == "l2":
            return (-rows / t).clamp(low, high)
        return torch.where(rows.abs() > t, torch.where(rows > 0, low, high), torch.zeros_like(low).clamp(low, high))

    def _length(self, step: Tensor) -> Tensor:
        flat = step.flatten(2)
        return flat.abs().sum(2) if self.norm == "l1" else flat.square().sum(2) / 2


def region_of(x: Tensor, threat: Threat, predictive: Predictive) -> Region:
    """The region of each image x (N, *shape), on the device of the predictive.

    Ball and box are enlarged by the conversion of inputs to the type in which the predictive computes. Raises
    `Incompatible` for a norm without bounds, and for a goal that a proof of the predicted class does not rule out.
    """
    if threat.norm not in SIZES:
        raise Incompatible(f"certificates have no bounds in the norm {threat.norm}")
    if threat.goal not in ("untargeted", "targeted"):
        raise Incompatible(f"certificates prove the predicted class, and say nothing of the goal {threat.goal}")
    centre = x.to(predictive.device).double()
    low, high = threat.box
    converted = torch.finfo(predictive.dtype).eps * max(abs(low), abs(high))
    # Each coordinate may move in a conversion; in the other norms these moves add up.
    radius = threat.epsilon + converted * SIZES[threat.norm](math.prod(x.shape[1:]))
    lowest = (centre - radius).clamp(min=low - converted).minimum(centre)
    highest = (centre + radius).clamp(max=high + converted).maximum(centre)
    return Region(centre, Interval(lowest, highest), radius, threat.norm)
