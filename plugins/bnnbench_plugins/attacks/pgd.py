"""Projected gradient descent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bnnbench.authoring import Best, Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class ProjectedGradient(Maximising):
    """Projected gradient descent (Madry et al. 2018): gradient steps, each projected into the ball and the box.

    The result for each image is the best iterate of all restarts. A misclassified iterate is better than one that is
    not; among equals, the one with the higher `objective` is better. Under the stream `fresh` only the last iterate of
    each restart is a candidate: every query uses other draws, so the best of all iterates would be the one that met the
    most vulnerable draws, and other draws defend.

    The default schedule shortens the steps to zero. Constant steps of 2.5 / `steps` (Madry et al.) keep circling around
    the optimum: the shrinking ones broke up to five more images in a hundred, most of them in the l2 ball.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    steps: int = Field(default=15, ge=1)
    """Gradient steps of each restart."""
    step_schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine`: step lengths fall to zero along half a cosine. `constant`: all steps have the same length."""
    relative_step_size: float | None = Field(default=None, gt=0)
    """Length of the first step as a fraction of epsilon. By default 1 for `cosine`, 2.5 / `steps` for `constant`."""
    random_start: bool = True
    """Start from uniform noise in the ball instead of the clean input."""
    restarts: int = Field(default=1, ge=1)
    """Number of runs, each with a random start of its own."""
    stop_when_broken: bool = False
    """Stop attacking an image once it is misclassified. Faster, but softmax robustness is then not reported."""

    @model_validator(mode="after")
    def _restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts above 1 need random_start: without it all runs are the same")
        return self

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        best = Best(x)
        for _ in range(self.restarts):
            # Noise is drawn for all images, so that an image that is no longer attacked changes no other.
            current = threat.uniform(x, rng) if self.random_start else x.clone()
            # After the last step one more iteration evaluates the last iterate.
            for length in [*self._step_lengths(), None]:
                attacked = best.unbroken if self.stop_when_broken else best.everywhere
                if len(attacked) == 0:
                    return best.inputs
                self._iterate(victim, best, attacked, length, current, x, y, threat)
        return best.inputs

    def _iterate(
        self,
        victim: Victim,
        best: Best,
        attacked: Tensor,
        length: float | None,
        current: Tensor,
        x: Tensor,
        y: Tensor,
        threat: Threat,
    ) -> None:
        """Evaluate the current iterate of the attacked images, offer it to `best`, and take a step of this length.

        `attacked` (n,) are positions among the images. `current` (N, *shape) is changed in place. Without a length no
        step is taken.
        """
        asked, points, labels = victim.among(attacked), current[attacked], y[attacked]
        if length is None:
            log_probs, value = asked.score(points, labels, self.objective)
        else:
            log_probs, value, direction = asked.probe(points, labels, self.objective)
            moved = points + threat.ascent(points, direction, length * threat.epsilon)
            current[attacked] = threat.project(x[attacked], moved)
        broken = threat.broken(log_probs, labels)
        if length is None or threat.stream != "fresh":
            best.offer(points, broken, value, attacked)
        else:
            best.pass_by(broken, value, attacked)
        victim.record("objective", best.latest_value)
        victim.record("broken", best.latest_broken)

    def _step_lengths(self) -> list[float]:
        """The length of each step as a fraction of epsilon."""
        if self.step_schedule == "constant":
            return [self.relative_step_size or 2.5 / self.steps] * self.steps
        first = self.relative_step_size or 1.0
        return [first * (1 + math.cos(math.pi * step / self.steps)) / 2 for step in range(self.steps)]

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> ProjectedGradient:
        return self.model_copy(update={"steps": 2 * self.steps})
