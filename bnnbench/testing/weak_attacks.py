"""Attacks that are weak in a known way, as they stand in published code. A check of the audit must notice each.

None of them is registered: they are for tests, and for readers who want to see what an audit says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from bnnbench.authoring.best_iterate import Best
from bnnbench.authoring.maximising import Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.threat import Threat
    from bnnbench.core.victim import Victim


class PlainSteps(Maximising):
    """Signed gradient steps of one length: the template of the weak attacks, each of which changes one thing.

    As it is, it is sound on smooth losses: steps of a quarter of epsilon, and the best iterate is returned.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    steps: int = Field(default=12, ge=1)
    """Gradient steps of each restart."""
    length: float = Field(default=0.25, gt=0)
    """Length of a step as a fraction of epsilon."""
    restarts: int = Field(default=1, ge=1)
    """Number of runs, each with a random start of its own."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        best, current = Best(x), x
        for _ in range(self.restarts):
            current = self.start(x, threat, rng)
            for _ in range(self.steps):
                direction = self.offered(victim, best, current, y, threat)
                current = threat.project(x, current + self.length * threat.epsilon * threat.steepest(direction))
            self.offered(victim, best, current, y, threat)
        return self.returned(best, current)

    def offered(self, victim: Victim, best: Best, current: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """The direction (N, *shape) of the next step. The current inputs are offered to `best`, and recorded."""
        log_probs, value, direction = self.probed(victim, current, y)
        best.offer(current, threat.broken(log_probs, y), value)
        victim.record("objective", best.latest_value)
        victim.record("broken", best.latest_broken)
        return direction

    def start(self, x: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """The first iterate (N, *shape)."""
        return threat.uniform(x, rng)

    def probed(self, victim: Victim, current: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log predictive probabilities (N, K), the objective (N,) and the direction (N, *shape) that is followed."""
        return victim.probe(current, y, self.objective)

    def returned(self, best: Best, last: Tensor) -> Tensor:
        """The inputs (N, *shape) that the attack returns."""
        return best.inputs

    def stronger(self) -> Self:
        return self.model_copy(update={"steps": 2 * self.steps})


class OneStep(PlainSteps):
    """PGD with a single step of half of epsilon. Its number is not converged: `convergence` (A4) must fire."""

    steps: int = Field(default=1, ge=1)
    length: float = Field(default=0.5, gt=0)


class TinySteps(PlainSteps):
    """PGD whose steps are too short to reach the surface of the ball. `unfinished` (A9) must fire."""

    length: float = Field(default=0.02, gt=0)


class WrongSign(PlainSteps):
    """PGD that descends. `noise` (A2) must fire, and `single-step` (A1) where `fgsm` is reported too."""

    def probed(self, victim: Victim, current: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_probs, value, direction = super().probed(victim, current, y)
        return log_probs, value, -direction


class Corners(PlainSteps):
    """PGD with steps of twice epsilon from the clean input: every further iterate is a corner of the ball.

    What lies between the corners is never seen. `reference` (A16) must fire, and `radius-rise` (A3) where a radius is
    reported whose corners happened to hit.
    """

    length: float = Field(default=2, gt=0)

    def start(self, x: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        return x.clone()


class LastIterate(PlainSteps):
    """PGD that returns its last iterate, whatever it met on the way. `silent-success` (A10) must fire."""

    length: float = Field(default=0.5, gt=0)

    def returned(self, best: Best, last: Tensor) -> Tensor:
        return last


class OneRestart(PlainSteps):
    """PGD from one random start, with steps that do not leave the nearest maximum.

    On a rugged loss the start decides: `convergence` (A4) must fire, because two starts find more than one.
    """

    steps: int = Field(default=30, ge=1)
    length: float = Field(default=0.02, gt=0)


class PlainGradient(PlainSteps):
    """PGD along the plain gradient of the cross-entropy in float32, as autograd gives it.

    Where the softmax is saturated the gradient is exactly zero. `zero-direction` (A5) must fire.
    """

    def probed(self, victim: Victim, current: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_probs, value = victim.score(current, y, self.objective)
        return log_probs, value, victim.gradient(current, y, self.objective)
