"""Auto-PGD: projected gradient ascent whose steps adapt themselves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import objective
from bnnbench.authoring import Best, Maximising, per_image
from bnnbench_plugins.attacks.targets import batches, likely_targets
from bnnbench_plugins.objectives.margins import TargetMargin

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Objective, Threat, Victim

FIRST = {"linf": 2.0, "l2": 2.0, "l1": 1.0}
"""The length of the first step in epsilons, by norm."""
MOMENTUM = {"linf": 0.75, "l2": 0.75, "l1": 1.0}
"""The share of the gradient step in a move, by norm; the rest is the last move."""
ENOUGH = 0.75
"""The share of steps since the last checkpoint that must have raised the objective."""


class AutoProjectedGradient(Maximising):
    """Auto-PGD (Croce and Hein 2020, Algorithm 1): gradient steps with momentum, whose length adapts to the progress.

    The first step is as long as the ball is wide. At checkpoints, the step of each image is halved, and its best
    iterate is taken up again, if fewer than three quarters of the last steps raised the objective, or if neither the
    step nor the best objective has changed since the last checkpoint. The result is the best iterate, as for `pgd`.

    In the l1 ball a step moves the steepest coordinates to the end of the box, so that shorter steps change fewer of
    them. As in l1-APGD (Croce and Hein 2021), the first step is as long as the radius, there is no momentum, and points
    are projected into the intersection of ball and box; that attack adapts the number of coordinates in another way.

    With `targets`, the attack does not maximise `objective`: it runs for each of the most probable other classes, and
    maximises the margin of that class over the label (`class-margin`). Some images fall only to such a run. The most
    probable class comes first, then the others together, from one random start for all of them.
    """

    revision: ClassVar[int | None] = 3
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    steps: int = Field(default=50, ge=1)
    """Gradient steps of each run."""
    restarts: int = Field(default=1, ge=1)
    """Number of runs for each objective, each from another random start."""
    random_start: bool = True
    """Start from uniform noise in the ball instead of the clean input."""
    targets: int = Field(default=0, ge=0)
    """Number of other classes whose margins are attacked, the most probable at the clean input; 0 for none."""
    stop_when_broken: bool = False
    """Stop attacking an image once it is misclassified. Faster, but softmax robustness is then not reported."""

    @model_validator(mode="after")
    def _restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts above 1 need random_start: without it all runs are the same")
        return self

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if self.targets and self.objective != objective("bnnbench:predictive-nll"):
            raise ValueError("targets maximise margins of their own: leave out objective, or targets")
        return self

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        best, aim = Best(x), TargetMargin() if self.targets else self.objective
        for aims in self._aims(victim, x, y):
            for _ in range(self.restarts):
                # Noise is drawn for all images, so that an image that is no longer attacked changes no other.
                start = threat.uniform(x, rng) if self.random_start else x
                standing = best.unbroken if self.stop_when_broken else best.everywhere
                for at, classes in batches(standing, aims, x, together=not self.targets or threat.stream == "fresh"):
                    if len(at):
                        self._climb(victim, best, aim, _Climb.begun(at, classes, start[at], threat), x, y, threat)
                if self.targets:
                    victim.record("broken", best.broken)
        return best.inputs

    def _aims(self, victim: Victim, x: Tensor, y: Tensor) -> list[Tensor]:
        """What the objective gets as labels, (N, runs) each, in runs that are made at the same time."""
        if self.targets == 0:
            return [y[:, None]]
        # Most images that fall do so to the most probable class. It comes first, so that they take fewer queries.
        aims = likely_targets(victim.log_probs(x), y, self.targets)
        return [some for some in (aims[:, :1], aims[:, 1:]) if some.shape[1]]

    def _climb(
        self, victim: Victim, best: Best, aim: Objective, climb: _Climb, x: Tensor, y: Tensor, threat: Threat
    ) -> None:
        """Runs from their start on; their iterates are offered to `best`."""
        checkpoints = _checkpoints(self.steps)
        for step in range(self.steps + 1):
            last = step == self.steps
            asked = victim.among(climb.at)
            if last:
                (log_probs, value), direction = asked.score(climb.points, climb.classes, aim), climb.direction
            else:
                log_probs, value, direction = asked.probe(climb.points, climb.classes, aim)
            broken = threat.broken(log_probs, y[climb.at])
            if last or threat.stream != "fresh":
                best.offer(climb.points, broken, value, climb.at)
            else:
                best.pass_by(broken, value, climb.at)
            if not self.targets:
                victim.record("objective", best.latest_value)
                victim.record("broken", best.latest_broken)
            if last:
                return
            climb.arrive(value, direction)
            if step in checkpoints:
                climb.judge(step - checkpoints[step])
            # Under `fresh` a success with some draws is none with others, and only the last iterate is kept.
            if self.stop_when_broken and threat.stream != "fresh":
                climb = climb.of_runs(~best.broken[climb.at])
                if len(climb.at) == 0:
                    return
            climb.move(x[climb.at], threat)

    @property
    def maximises(self) -> Objective | None:
        return None if self.targets else self.objective

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted"]) if self.targets else super().goals

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> AutoProjectedGradient:
        return self.model_copy(update={"steps": 2 * self.steps})


@dataclass(eq=False)
class _Climb:
    """The state of n runs; all tensors lead with n.

    `at` are the positions of their images, and `classes` what their objective gets as `y`. `best` marks the best
    iterate so far, and `before` the last checkpoint.
    """

    at: Tensor
    classes: Tensor
    points: Tensor
    previous: Tensor
    value: Tensor
    direction: Tensor
    length: Tensor
    best_value: Tensor
    best_points: Tensor
    best_direction: Tensor
    rises: Tensor
    length_before: Tensor
    value_before: Tensor

    @classmethod
    def begun(cls, at: Tensor, classes: Tensor, points: Tensor, threat: Threat) -> _Climb:
        """The state before the first query."""
        import torch

        lowest = points.new_full((len(at),), -torch.inf)
        length = points.new_full((len(at),), FIRST[threat.norm] * threat.epsilon)
        still = torch.zeros_like(points)
        zero = torch.zeros_like(length)
        return cls(at, classes, points, points, lowest, still, length, lowest, points, still, zero, length, lowest)

    def arrive(self, value: Tensor, direction: Tensor) -> None:
        """Take in the objective (n,) and the direction (n, *shape) at the current points."""
        self.rises = self.rises + (value > self.value)
        self.value, self.direction = value, direction
        better = value > self.best_value
        self.best_value = value.where(better, self.best_value)
        self.best_points = self.points.where(per_image(better, self.points), self.best_points)
        self.best_direction = direction.where(per_image(better, direction), self.best_direction)

    def judge(self, steps: int) -> None:
        """At a checkpoint, `steps` after the last one: halve the steps of images that make too little progress."""
        stuck = (self.length == self.length_before) & (self.best_value <= self.value_before)
        slow = (self.rises < ENOUGH * steps) | stuck
        self.length_before, self.value_before = self.length, self.best_value
        self.length = self.length.where(~slow, self.length / 2)
        back = per_image(slow, self.points)
        # An image that goes back starts without momentum.
        self.previous = self.best_points.where(back, self.previous)
        self.points = self.best_points.where(back, self.points)
        self.direction = self.best_direction.where(back, self.direction)
        self.value = self.best_value.where(slow, self.value)
        self.rises = self.rises * 0

    def move(self, x: Tensor, threat: Threat) -> None:
        """Make a gradient step, and a part of the last move again; `x` (n, *shape) are the clean inputs."""
        moved = threat.project(x, self.points + threat.ascent(self.points, self.direction, self.length))
        share = MOMENTUM[threat.norm]
        if share < 1:
            moved = self.points + share * (moved - self.points) + (1 - share) * (self.points - self.previous)
            moved = threat.project(x, moved)
        self.points, self.previous = moved, self.points

    def of_runs(self, kept: Tensor) -> _Climb:
        """The state of some of the runs, (n,) bool."""
        return _Climb(*(getattr(self, field.name)[kept] for field in fields(self)))


def _checkpoints(steps: int) -> dict[int, int]:
    """The steps at which progress is judged, each with the checkpoint before it.

    They come at shares of 0.22, 0.41, 0.57, ... of all steps: each interval is shorter than the last one by 0.03, and
    at least 0.06.
    """
    # In hundredths, because sums of floats round up.
    share, interval, places = 22, 22, [0]
    while share <= 100:
        places.append(-(-share * steps // 100))
        interval = max(interval - 3, 6)
        share += interval
    return {later: earlier for earlier, later in itertools.pairwise(places) if later > earlier}
