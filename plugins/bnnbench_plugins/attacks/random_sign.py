"""Random signs: the attack that sees nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench_plugins.attacks.best import Best
from bnnbench_plugins.attacks.maximising import Maximising

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class RandomSign(Maximising):
    """Every component moves by +epsilon or -epsilon with probability one half (the paper's random attack).

    In the l2 ball the signs are scaled to length epsilon. With `tries` above 1 the best is kept, as in PGD; then the
    attacker sees scores, and `objective` tells the better of two tries that are both misclassified, or both not.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"noise", "gradient-free"})

    tries: int = Field(default=1, ge=1)
    """How many random points are tried; the best is kept."""

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
