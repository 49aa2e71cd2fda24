"""Random signs: the baseline that uses no gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench.authoring import Best, Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class RandomSign(Maximising):
    """Random signs: every component of an input moves by +epsilon or -epsilon, each with probability 1/2.

    This is the random attack of Carbone et al. (2020). In the l2 ball the signs are scaled to length epsilon. In the l1
    ball components in random order move to a random end of the box, until epsilon is used up. With `tries` above 1, the
    attack queries the ensemble for scores and keeps the best candidate: a misclassified one before one that is not, and
    among equals the one with the higher `objective`.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"noise", "gradient-free"})

    tries: int = Field(default=1, ge=1)
    """Random candidates for each image; the best one is kept."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        if self.tries == 1:
            return threat.signs(x, rng)
        best = Best(x)
        for _ in range(self.tries):
            candidate = threat.signs(x, rng)
            log_probs, value = victim.score(candidate, y, self.objective)
            best.offer(candidate, threat.broken(log_probs, y), value)
        return best.inputs

    def stronger(self) -> RandomSign:
        return self.model_copy(update={"tries": 2 * self.tries})
