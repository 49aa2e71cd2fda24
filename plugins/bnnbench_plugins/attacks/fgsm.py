"""The fast gradient sign method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bnnbench.authoring import Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class FastGradientSign(Maximising):
    """The fast gradient sign method (Goodfellow et al. 2015): one gradient step to the surface of the ball.

    The result is x + epsilon sign(g) in the linf ball and x + epsilon g / |g| in the l2 ball, clipped to the box, where
    g is the gradient of `objective` at x. In the l1 ball the coordinates with the largest gradients move to the end of
    the box, until epsilon is used up. One gradient serves all epsilons.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"single-step"})

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        return self.perturb_each(victim, x, y, [threat], [rng])[0]

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        direction = victim.direction(x, y, self.objective)
        return [threat.project(x, x + threat.ascent(x, direction, threat.epsilon)) for threat in threats]
