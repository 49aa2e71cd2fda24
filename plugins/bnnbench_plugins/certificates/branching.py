"""Branch and bound in the inputs: boxes are proven or split, until an image is decided."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bnnbench import Predictive, Proof, Threat
from bnnbench_plugins.certificates.ensemble_bounds import EnsembleBounds
from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.region import Region, region_of

AT_ONCE = 2**22
"""The largest number of float64 values of the widest rows that are held at a time: 32 MB."""

SLOPE_FLOOR = 1e-3
"""Added to slopes when a side is chosen, so that wide sides are split even where the relaxation is flat."""


class Branching:
    """The decisions about images: proven, refuted, or neither when `budget` boxes of an image have been bounded.

    Args:
        predictive: the ensemble.
        draws: the positions of the draws that defend.
        x: images (N, *shape).
        y: labels (N,).
        threat: the ball and the box.
        budget: the largest number of boxes of an image.

    """

    def __init__(
        self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat, budget: int
    ) -> None:
        self._predictive, self._draws, self._threat, self._budget = predictive, list(draws), threat, budget
        self._x, self._y = x.to(predictive.device), y.to(predictive.device)
        self._bounds = EnsembleBounds(predictive, draws, x)
        self._region = region_of(x, threat, predictive)
        self._boxes_of = torch.zeros(len(x), dtype=torch.int64, device=predictive.device)
        # The bound of what of the ball lies in boxes that are done with.
        self._bound = torch.ones(len(x), dtype=torch.float64, device=predictive.device)
        self._refuted = self._misclassified(self._x, torch.arange(len(x), device=predictive.device))

    def proof(self) -> Proof:
        """What is proven when as many images are decided as the budget allows.

        The bound of an image is the least of the bounds of the boxes that cover its ball.
        """
        image = torch.arange(len(self._x), device=self._x.device)
        boxes = self._region.box
        while len(image):
            parts = [self._look(image[some], boxes.at(some)) for some in torch.arange(len(image)).split(self._size)]
            bound, side = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
            split = (bound <= 0) & ~self._refuted[image]
            self._boxes_of += torch.bincount(image, minlength=len(self._x))
            more = 2 * torch.bincount(image[split], minlength=len(self._x))
            split &= (self._boxes_of + more <= self._budget)[image]
            self._bound.scatter_reduce_(0, image[~split], bound[~split], "amin")
            image, boxes = _halves(image[split], boxes.at(split), side[split])
        # The allowance for rounding may move a bound below -1, which no difference of probabilities is.
        return Proof(certified=self._bound > 0, bound=self._bound.clamp(min=-1.0), refuted=self._refuted)

    @property
    def _size(self) -> int:
        return max(1, AT_ONCE // (2 * self._bounds.classes * self._bounds.widest))

    def _look(self, image: Tensor, boxes: Interval) -> tuple[Tensor, Tensor]:
        """The bounds (B,) of boxes (B, *shape) of images (B,), and the side along which each is to be split, (B,).

        The bound of a box that holds no allowed input is 1. A box that is not proven may have an input of another
        class: it is sought at the centre and where the relaxation is least.
        """
        region = Region(self._region.centre[image], boxes, self._region.radius, self._region.norm)
        found = self._bounds.differences(region, self._y[image])
        bound, worst = torch.maximum(found.per_draw, found.joint).min(1)
        bound[self._outside(region)] = 1.0
        slope = found.slope[torch.arange(len(image)), worst]
        is_open = (bound <= 0) & ~self._refuted[image]
        self._try(image[is_open], region.at(is_open), slope[is_open])
        width = (boxes.upper - boxes.lower).flatten(1)
        return bound, ((slope.flatten(1).abs() + SLOPE_FLOOR) * width).argmax(1)

    def _outside(self, region: Region) -> Tensor:
        """Whether the nearest point of each box lies outside of its image's ball."""
        step = (region.centre.clamp(region.box.lower, region.box.upper) - region.centre).flatten(1)
        if region.is_box:
            return torch.zeros(len(region), dtype=torch.bool, device=step.device)
        length = step.abs().sum(1) if region.norm == "l1" else step.norm(dim=1)
        return length > region.radius * (1 + 1e-12)

    def _try(self, image: Tensor, region: Region, slope: Tensor) -> None:
        """Refute the images for which the centre or the least input of a box, moved into the ball, is misclassified."""
        if len(image) == 0:
            return
        middle = (region.box.lower + region.box.upper) / 2
        for candidates in (middle, region.minimiser(slope[:, None])[:, 0]):
            inside = self._threat.project(self._x[image], candidates.to(self._x.dtype))
            wrong = self._misclassified(inside, image)
            self._refuted[image[wrong]] = True

    def _misclassified(self, inputs: Tensor, image: Tensor) -> Tensor:
        """Whether the predictive gives inputs (B, *shape) of images (B,) another class than the label."""
        with torch.no_grad():
            predicted = self._predictive.log_probs(inputs, self._draws).argmax(1)
        return predicted != self._y[image]


def _halves(image: Tensor, boxes: Interval, side: Tensor) -> tuple[Tensor, Interval]:
    """The two halves of each box along a side, and their images."""
    shape = boxes.lower.shape
    lower, upper = boxes.lower.flatten(1), boxes.upper.flatten(1)
    at = torch.arange(len(side), device=side.device)
    middle = (lower[at, side] + upper[at, side]) / 2
    first, second = upper.clone(), lower.clone()
    first[at, side], second[at, side] = middle, middle
    both = Interval(
        torch.cat([lower, second]).reshape(-1, *shape[1:]), torch.cat([first, upper]).reshape(-1, *shape[1:])
    )
    return torch.cat([image, image]), both
