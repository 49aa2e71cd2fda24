"""The fast minimum-norm attack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Attack, objective
from bnnbench_plugins.attacks.nearest import Nearest
from bnnbench_plugins.attacks.targets import batches, likely_targets
from bnnbench_plugins.objectives.margins import TargetMargin

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Objective, Threat, Victim

HALVINGS = 10
"""Queries that look for the first radius; each halves the ratio between its bounds, in logarithms."""
SMALLEST = 2.0**-12
"""The smallest first radius, as a fraction of the largest one."""
LAST = 0.01
"""The last step, and the last change of the radius, as fractions of the first ones."""


class FastMinimumNorm(Attack):
    """The fast minimum-norm attack (Pintor et al. 2021): the nearest input that is classified as another class.

    Each image has a radius of its own. Gradient steps that raise the margin of the best other class over the label
    (`log-margin`) are projected into that radius and the box. The radius shrinks after an iterate that is
    misclassified, and grows after one that is not, but never beyond the nearest one found. Steps and changes of the
    radius fall along half a cosine. The result is the nearest misclassified iterate; one run serves all radii.

    Two things differ from the paper. The first radius is the one at which the steepest direction at the clean input
    leads to another class, found by bisection: the paper divides the margin by the gradient's length, which vanishes
    where an ensemble is certain. The length of a step is a fraction of the radius, in the norm of the threat, instead
    of a number that must be tuned for each data set.

    With `targets`, the attack runs once for each of the most probable other classes, all at the same time, and raises
    the margin of that class over the label (`class-margin`). Some images have a nearer input that only such a run
    finds.

    Under the stream `fresh` each query sees other draws, so the nearest iterate is one that met vulnerable draws.
    """

    revision: ClassVar[int | None] = 2
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "minimal-norm"})

    steps: int = Field(default=100, ge=1)
    """Gradient steps of each run."""
    relative_step_size: float = Field(default=1.0, gt=0)
    """Length of the first step as a fraction of the image's radius."""
    radius_change: float = Field(default=0.05, gt=0, lt=1)
    """The fraction by which the radius first shrinks or grows."""
    targets: int = Field(default=0, ge=0)
    """Number of other classes whose margins are attacked, the most probable at the clean input; 0 for none."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        nearest = Nearest(victim, x, y, threat)
        if len(nearest.standing) == 0:
            return nearest.inputs
        aim = TargetMargin() if self.targets else objective("bnnbench:log-margin")
        aims = likely_targets(nearest.clean, y, self.targets) if self.targets else y[:, None]
        for at, classes in batches(nearest.standing, aims, x, together=not self.targets or threat.stream == "fresh"):
            self._search(victim.among(at), nearest, aim, at, x[at], classes, threat)
        if self.targets:
            victim.record("reached", nearest.distance.isfinite())
        return nearest.inputs

    def _search(
        self, asked: Victim, nearest: Nearest, aim: Objective, at: Tensor, x: Tensor, y: Tensor, threat: Threat
    ) -> None:
        """Runs from the images x (n, *shape) at positions `at` (n,); their iterates are offered to `nearest`.

        `y` (n,) is what the objective gets as labels. A position may occur several times, with other targets.
        """
        import torch

        points = x
        for step in range(self.steps + 1):
            if step == self.steps:
                log_probs, value = asked.score(points, y, aim)
            else:
                log_probs, value, direction = asked.probe(points, y, aim)
            broken = nearest.offer(points, log_probs, at)
            if not self.targets:
                asked.record("objective", value)
                asked.record("reached", broken)
            if step == self.steps:
                return
            if step == 0:
                radius = self._first_radius(asked, nearest, direction, at, x, threat)
            share = LAST + (1 - LAST) * (1 + math.cos(math.pi * step / self.steps)) / 2
            change = self.radius_change * share
            # The first radius reaches the goal too, by the way it was found.
            shrinks = broken if step else torch.ones_like(broken)
            radius = (radius * (1 - change)).where(shrinks, radius * (1 + change))
            radius = radius.minimum(nearest.distance[at].to(radius)).clamp(max=threat.epsilon)
            length = self.relative_step_size * share * radius
            moved = points + threat.ascent(points, direction, length)
            points = (x + threat.shortened(x, moved - x, radius)).clamp(*threat.box)

    def _first_radius(
        self, asked: Victim, nearest: Nearest, direction: Tensor, at: Tensor, x: Tensor, threat: Threat
    ) -> Tensor:
        """The radius (n,) at which the steepest step along a direction (n, *shape) reaches the goal.

        It is at most the distance of `nearest`, and the largest radius if the goal is not reached.
        """
        large = nearest.distance[at].to(x).clamp(max=threat.epsilon)
        small = SMALLEST * large
        for _ in range(HALVINGS):
            middle = (small * large).sqrt()
            points = (x + threat.ascent(x, direction, middle)).clamp(*threat.box)
            broken = nearest.offer(points, asked.log_probs(points), at)
            small, large = middle.where(~broken, small), middle.where(broken, large)
        return large

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted"] if self.targets else ["untargeted", "targeted"])

    def stronger(self) -> FastMinimumNorm:
        return self.model_copy(update={"steps": 2 * self.steps})
