"""The attack of Carlini and Wagner in the l2 norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Attack
from bnnbench.authoring import per_image
from bnnbench_plugins.attacks.nearest import Nearest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

INSIDE = 0.999
"""The factor by which the first iterate is moved towards the middle of the box, whose ends tanh never reaches."""
FIRST, FACTOR = 0.02, 10.0
"""The first constant as a fraction of the largest radius, and its growth until a constant reaches the goal."""
MEAN, SQUARE, TINY = 0.9, 0.999, 1e-12
"""Adam's weights of the moments so far, and the number that it adds to the root of the second one."""
LAST = 0.01
"""The last learning rate as a fraction of the first."""


class CarliniWagner(Attack):
    """The l2 attack of Carlini and Wagner (2017): the nearest input that is classified as another class.

    Adam minimises |x' - x|^2 + c f(x') over w, where x' = tanh(w), scaled to the box, so that no step leaves the box.
    f is the margin of the label over the best other class while it is positive, and zero beyond. Each image has a
    constant c of its own: it grows tenfold until another class is predicted, and is then found by bisection. The
    result is the nearest misclassified iterate of all runs; one run of the attack serves all radii.

    Two things differ from the paper. The gradient of f is normalised to length one, so that it neither vanishes nor
    dominates where a network is certain, and c is a length: twice the distance at which both terms balance. The
    learning rate falls along half a cosine, so that fewer steps are needed.

    Raises `Incompatible` for other norms than l2. Under the stream `fresh` each query sees other draws, so the nearest
    iterate is one that met vulnerable draws.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "minimal-norm"})

    steps: int = Field(default=150, ge=1)
    """Steps of Adam for each constant."""
    searches: int = Field(default=6, ge=1)
    """Number of constants that are tried."""
    learning_rate: float = Field(default=0.05, gt=0)
    """The first learning rate of Adam, in w."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        nearest = Nearest(victim, x, y, threat)
        at = nearest.standing
        if len(at) == 0:
            return nearest.inputs
        largest = 2 * threat.epsilon
        constant = x.new_full((len(at),), FIRST * largest)
        low, high = torch.zeros_like(constant), torch.full_like(constant, torch.inf)
        for _ in range(self.searches):
            reached = self._descend(victim.among(at), nearest, constant, at, x[at], y[at], threat)
            low, high = constant.where(~reached, low), constant.where(reached, high)
            constant = ((low + high) / 2).where(high.isfinite(), (FACTOR * low).clamp(max=largest))
        return nearest.inputs

    def _descend(
        self, asked: Victim, nearest: Nearest, constant: Tensor, at: Tensor, x: Tensor, y: Tensor, threat: Threat
    ) -> Tensor:
        """Whether a run with these constants (n,) reached the goal, (n,) bool, on images x at positions `at` (n,)."""
        import torch

        low, high = threat.box
        middle, half = (low + high) / 2, threat.width / 2
        w = ((x - middle) / half * INSIDE).atanh()
        mean, square = torch.zeros_like(w), torch.zeros_like(w)
        reached = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for step in range(self.steps + 1):
            place = w.tanh()
            points = (middle + half * place).clamp(low, high)
            if step == self.steps:
                log_probs, value = asked.score(points, y, "bnnbench:log-margin")
            else:
                log_probs, value, direction = asked.probe(points, y, "bnnbench:log-margin")
            broken = nearest.offer(points, log_probs, at)
            reached |= broken
            asked.record("objective", value)
            asked.record("reached", broken)
            if step == self.steps:
                return reached
            pull = per_image(constant * ~broken, x) * threat.steepest(direction)
            # In units of the box; the last factor is the derivative of tanh.
            slope = (2 * (points - x) - pull) / threat.width * (1 - place.square())
            mean = MEAN * mean + (1 - MEAN) * slope
            square = SQUARE * square + (1 - SQUARE) * slope.square()
            spread = (square / (1 - SQUARE ** (step + 1))).sqrt() + TINY
            share = LAST + (1 - LAST) * (1 + math.cos(math.pi * step / self.steps)) / 2
            w = w - self.learning_rate * share * mean / (1 - MEAN ** (step + 1)) / spread
        raise AssertionError("the last step returns")

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted", "targeted"])

    @property
    def norms(self) -> frozenset[str]:
        return frozenset(["l2"])

    def stronger(self) -> CarliniWagner:
        return self.model_copy(update={"steps": 2 * self.steps})
