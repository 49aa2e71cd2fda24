"""Projected gradient descent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bnnbench_plugins.attacks.best import Best
from bnnbench_plugins.attacks.maximising import Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class ProjectedGradient(Maximising):
    """Steps along the objective's gradient, each projected into ball and box (Madry et al. 2018).

    The best iterate of all restarts is returned: misclassified first, then of the highest objective. Under the stream
    `fresh` it is the best of the restarts' last ones: among all iterates, each judged by draws of its own, the one that
    met the unluckiest draws would win, and others defend. Steps that shrink settle where constant ones, 2.5 / steps as
    in the paper by Madry et al., still circle: they broke up to five more images in a hundred, most in the l2 ball.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    steps: int = Field(default=15, ge=1)
    """Gradient steps of each restart."""
    step_schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine` shortens the steps to nothing along half a cosine, `constant` keeps them."""
    relative_step_size: float | None = Field(default=None, gt=0)
    """Length of the first step as a share of epsilon; by default 1, and 2.5 / steps where it is constant."""
    random_start: bool = True
    """Start from uniform noise in the ball, not from the clean input."""
    restarts: int = Field(default=1, ge=1)
    """Runs, each from a random start of its own."""
    stop_when_broken: bool = False
    """Leave an image alone once it is misclassified: faster, but softmax robustness is then not given."""

    @model_validator(mode="after")
    def _restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts above 1 need random_start: without it all runs are the same")
        return self

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        best = Best(x)
        for _ in range(self.restarts):
            # Noise for all images, whichever are left: dropping one changes no other.
            current = threat.uniform(x, rng) if self.random_start else x.clone()
            for length in [*self._lengths(), None]:
                left = best.unbroken if self.stop_when_broken else best.everywhere
                if len(left) == 0:
                    return best.inputs
                self._step(victim, best, left, length, current, x, y, threat)
        return best.inputs

    def _step(
        self,
        victim: Victim,
        best: Best,
        left: Tensor,
        length: float | None,
        current: Tensor,
        x: Tensor,
        y: Tensor,
        threat: Threat,
    ) -> None:
        """Look at the images that are left, keep what is best, and move them; without a length it is the last look."""
        asked, points, labels = victim.among(left), current[left], y[left]
        if length is None:
            log_probs, value = asked.score(points, labels, self.objective)
        else:
            log_probs, value, direction = asked.probe(points, labels, self.objective)
            current[left] = threat.project(x[left], points + length * threat.epsilon * threat.steepest(direction))
        broken = threat.broken(log_probs, labels)
        if length is None or threat.stream != "fresh":
            best.offer(points, broken, value, left)
        else:
            best.pass_by(broken, value, left)
        victim.record("objective", best.latest_value)
        victim.record("broken", best.latest_broken)

    def _lengths(self) -> list[float]:
        """The length of each step as a share of epsilon."""
        if self.step_schedule == "constant":
            return [self.relative_step_size or 2.5 / self.steps] * self.steps
        first = self.relative_step_size or 1.0
        return [first * (1 + math.cos(math.pi * step / self.steps)) / 2 for step in range(self.steps)]

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> ProjectedGradient:
        return self.model_copy(update={"steps": 2 * self.steps})
