"""The momentum iterative fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench.authoring import Best, Maximising, per_image

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class MomentumFastGradientSign(Maximising):
    """The momentum iterative fast gradient sign method (Dong et al. 2018), MI-FGSM.

    Each gradient of `objective` is divided by its l1 length and added to `decay` times the sum so far. A step follows
    the sign of that sum in the linf ball, and the normalised sum in the l2 ball; in the l1 ball it moves coordinates
    where the sum is largest to the end of the box. Each step is projected into ball and box.
    The first iterate is the clean input. The steps of the paper are epsilon / `steps` long, so that only the last one
    can reach the surface of the ball.

    The result is the best iterate, as for `pgd`; under the stream `fresh` it is the last one.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    steps: int = Field(default=10, ge=1)
    """Gradient steps."""
    decay: float = Field(default=1.0, ge=0)
    """The weight of the sum so far; 0 forgets it, which gives the iterative fast gradient sign method."""
    relative_step_size: float | None = Field(default=None, gt=0)
    """Length of a step as a fraction of epsilon. By default 1 / `steps`."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        best, points, momentum = Best(x), x, torch.zeros_like(x)
        length = (self.relative_step_size or 1 / self.steps) * threat.epsilon
        for step in range(self.steps + 1):
            last = step == self.steps
            if last:
                log_probs, value = victim.score(points, y, self.objective)
            else:
                log_probs, value, direction = victim.probe(points, y, self.objective)
            broken = threat.broken(log_probs, y)
            if last or threat.stream != "fresh":
                best.offer(points, broken, value)
            else:
                best.pass_by(broken, value, best.everywhere)
            victim.record("objective", best.latest_value)
            victim.record("broken", best.latest_broken)
            if not last:
                momentum = self.decay * momentum + _of_length_one(direction)
                points = threat.project(x, points + threat.ascent(points, momentum, length))
        return best.inputs

    def stronger(self) -> MomentumFastGradientSign:
        return self.model_copy(update={"steps": 2 * self.steps})


def _of_length_one(direction: Tensor) -> Tensor:
    """A direction (N, *shape) divided by its l1 length; zero where it is zero."""
    length = per_image(direction.double().flatten(1).abs().sum(1), direction)
    return (direction / length.where(length > 0, 1.0)).to(direction)
