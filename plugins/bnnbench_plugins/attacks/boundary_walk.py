"""The walk of each image along the boundary between right and wrong, by decisions alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bnnbench import Threat, Victim
from bnnbench.authoring import per_image
from bnnbench_plugins.attacks.query_budget import blocks, normal, uniform

FINEST, COARSEST = 2.0**-20, 2.0**-10
"""The smallest and the largest share of a distance to which bisecting goes on: float32 knows no smaller ones."""
HALVINGS_OF_STEP = 20
"""The largest number of times that a step is halved until it stays misclassified."""


class Walk:
    """The walks of N images.

    Attributes:
        points: the current points (N, *shape): misclassified where one was found, clean elsewhere.
        nearest: the nearest misclassified points so far (N, *shape); clean inputs where none was found.
        distance: the distances (N,) of the nearest points; infinite where none was found.
        left: the queries (N,) that each image has left.
        halvings: the largest number of queries of one call of `bisect`.
    """

    def __init__(
        self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator, left: Tensor
    ) -> None:
        self._victim, self._x, self._y, self._threat, self._rng, self.left = victim, x, y, threat, rng, left
        self.points, self.nearest = x.clone(), x.clone()
        self.distance = x.new_full((len(x),), torch.inf, dtype=torch.float64)
        self._size = math.prod(x.shape[1:])
        # In more dimensions random moves go less far across the boundary, so it must be known more exactly.
        self.halvings = math.ceil(-math.log2(min(max(self._size**-1.5, FINEST), COARSEST)))

    def start(self, tries: int) -> Tensor:
        """The positions (n,) of images that are classified correctly and for which a misclassified point is found."""
        asked = torch.arange(len(self._x), device=self._x.device)[self.left > 0]
        classes = self._ask(self._x[asked], asked)
        broken = self._threat.broken_by(classes, self._y[asked])
        self._keep(self._x[asked[broken]], asked[broken])
        right = asked[~broken]
        for _ in range(tries):
            # Numbers are drawn for all images, so that an image that is no longer attacked changes no other.
            noise = uniform(tuple(self._x.shape), self._x, self._rng)
            share = uniform((len(self._x),), self._x, self._rng)
            at = right[self.left[right] > 0]
            clean, (low, high) = self._x[at], self._threat.box
            step = per_image(share[at], clean) * (low + (high - low) * noise[at] - clean)
            self._go((clean + step).clamp(low, high), at)
        self.points = self.nearest.clone()
        self._start_from_batch(right[self.distance[right].isinf()], asked, classes)
        return right[self.distance[right].isfinite()]

    def _start_from_batch(self, at: Tensor, asked: Tensor, classes: Tensor) -> None:
        """Let images without a start begin at the nearest input whose predicted class reaches their goal.

        `at` (n,) are their positions; `asked` (m,) are the positions of the inputs whose predicted classes (m,) are
        known.
        """
        for position in at.tolist():
            others = asked[self._threat.broken_by(classes, self._y[position])]
            if len(others) > 0:
                gaps = self._threat.distance(self._x[position].expand_as(self._x[others]), self._x[others])
                self._keep(self._x[others[gaps.argmin()]][None], at.new_tensor([position]))

    def bisect(self, at: Tensor) -> None:
        """Move the points of the images at these positions (n,) straight towards the clean inputs, to the boundary."""
        clean, step = self._x[at], self.points[at] - self._x[at]
        length = step.flatten(1).abs().amax(1)
        low, high = torch.zeros_like(length), torch.ones_like(length)
        for _ in range(self.halvings):
            rows = (self.left[at] > 0).nonzero()[:, 0]
            if len(rows) == 0:
                return
            middle = (low + high) / 2
            if self._threat.norm == "l2":
                shorter = per_image(middle, clean) * step
            else:
                reach = per_image(middle * length, clean)
                shorter = step.maximum(-reach).minimum(reach)
            broken = torch.zeros_like(at, dtype=torch.bool)
            broken[rows] = self._go((clean + shorter)[rows], at[rows])
            high, low = middle.where(broken, high), low.where(broken, middle)

    def across(self, at: Tensor, samples: int) -> Tensor:
        """The estimated directions (n, *shape) across the boundary, at the points of the images at these positions.

        Each image makes `samples` random moves, or fewer if its queries do not suffice.
        """
        points = self.points[at]
        size = (points - self._x[at]).flatten(1).norm(dim=1) / self._size
        counts = (self.left[at] - self.halvings - 1).clamp(max=samples)
        of_all, of_broken = torch.zeros_like(points), torch.zeros_like(points)
        share, done = torch.zeros_like(size), 0
        for block in blocks(samples, self._x):
            # Numbers are drawn for all images, so that an image that is no longer attacked changes no other.
            random = normal((block, *self._x.shape), self._x, self._rng)[:, at]
            unit = random / random.flatten(2).norm(dim=2).view(block, *per_image(size, points).shape)
            moved = (points + per_image(size, points) * unit).clamp(*self._threat.box)
            made = torch.arange(done, done + block, device=at.device)[:, None] < counts
            broken = torch.zeros_like(made)
            broken[made] = self._broken(moved[made], at.repeat(block, 1)[made])
            moves = (moved - points).flatten(2)
            of_all += torch.einsum("bn,bnd->nd", made.to(moves), moves).view_as(points)
            of_broken += torch.einsum("bn,bnd->nd", broken.to(moves), moves).view_as(points)
            share += broken.sum(0)
            done += block
        share = per_image(share / counts, points)
        # If all moves stay misclassified, or none does, the moves themselves tell the direction.
        return (of_broken - share * of_all).where((share > 0) & (share < 1), of_all * (2 * share - 1))

    def move(self, at: Tensor, direction: Tensor, step: int) -> Tensor:
        """Move along the directions (n, *shape), by less where needed; return the positions of what has moved."""
        points, along = self.points[at], self._threat.steepest(direction)
        length = self._threat.distance(self._x[at], points).to(points) / math.sqrt(step)
        moved = torch.zeros_like(at, dtype=torch.bool)
        for _ in range(HALVINGS_OF_STEP):
            rows = (~moved & (self.left[at] > 0)).nonzero()[:, 0]
            if len(rows) == 0:
                break
            candidates = points[rows] + per_image(length[rows], points) * along[rows]
            moved[rows] = self._go(candidates.clamp(*self._threat.box), at[rows])
            length = length / 2
        return at[moved]

    def _ask(self, points: Tensor, at: Tensor) -> Tensor:
        """The predicted classes (m,) of points of the images at these positions (m,), which may repeat."""
        self.left -= at.bincount(minlength=len(self.left))
        return self._victim.among(at).decisions(points)

    def _broken(self, points: Tensor, at: Tensor) -> Tensor:
        """Whether points of the images at these positions (m,) reach the goal: all that this attack is told."""
        return self._threat.broken_by(self._ask(points, at), self._y[at])

    def _go(self, points: Tensor, at: Tensor) -> Tensor:
        """Go to those points (n, *shape) that reach the goal, and return which do, (n,) bool."""
        broken = self._broken(points, at)
        self._keep(points[broken], at[broken])
        return broken

    def _keep(self, points: Tensor, at: Tensor) -> None:
        """Make misclassified points (n, *shape) the current ones of the images at these positions."""
        distance = self._threat.distance(self._x[at], points)
        nearer = distance < self.distance[at]
        self.points[at] = points
        self.nearest[at[nearer]], self.distance[at[nearer]] = points[nearer], distance[nearer]
