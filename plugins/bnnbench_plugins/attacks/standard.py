"""The ensemble of attacks whose number can be quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Attack, GradientRefused, Incompatible, attack, objective
from bnnbench.authoring import Best

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

MARGIN = "bnnbench:log-margin"
"""The objective by which inputs are compared."""


class Standard(Attack):
    """An ensemble of attacks in stages, each on the images that still stand: a fixed recipe, `bnnbench standard 1`.

    The idea is that of AutoAttack (Croce and Hein 2020). The stages of recipe 1, the cheapest first:

    1. `fgsm` on the log margin: it reaches the corners of the ball, which count in few dimensions.
    2. `apgd` on the predictive loss, 10 steps.
    3. `apgd` on the margins of the three most probable other classes in turn, 15 steps each.
    4. `apgd` on the margins of the nine most probable other classes in turn, 15 steps each, from other random starts.
    5. `apgd` on the predictive loss, 20 steps from each of five random starts.
    6. `fmn` on the margins of three classes, 20 steps each: it comes from the clean input.
    7. `square`, 500 queries: it uses no gradient, and breaks images whose gradient is masked.

    Stages 1 to 6 are left out where the threat or the model gives no gradient. The recipe never changes: a better one
    will have another number, so that figures can be compared. An image is left alone once it is misclassified, so
    softmax robustness is not reported. Raises `Incompatible` under the stream `fresh`, where one query does not tell
    whether an image stands.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    recipe: int = Field(default=1, ge=1, le=1)
    """The number of the recipe."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        if threat.stream == "fresh":
            raise Incompatible("the attack standard is defined for the streams fixed and independent alone")
        best = Best(x)
        self._offer(victim, best, x, y, best.everywhere, threat)
        gradients = threat.access == "gradient"
        for stage in _stages():
            standing = best.unbroken
            if len(standing) == 0:
                break
            if not gradients and "gradient-free" not in stage.traits:
                continue
            try:
                found = stage.run_on(victim.among(standing), x[standing], y[standing], threat, rng)
            except GradientRefused:
                gradients = False
                continue
            self._offer(victim, best, found, y, standing, threat)
        return best.inputs

    @staticmethod
    def _offer(victim: Victim, best: Best, found: Tensor, y: Tensor, at: Tensor, threat: Threat) -> None:
        """Score inputs `found` (n, *shape) of the images at positions `at` (n,), and offer them to `best`."""
        log_probs, value = victim.among(at).score(found, y[at], MARGIN)
        best.offer(found, threat.broken(log_probs, y[at]), value, at)
        standing = best.latest_value.new_zeros(len(best.inputs))
        standing[best.unbroken] = 1
        victim.record("standing", standing)

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted"])

    @property
    def stops_early(self) -> bool:
        return True


def _stages() -> list[Attack]:
    """The stages of recipe 1."""
    return [
        attack("bnnbench:fgsm", objective=objective(MARGIN)),
        attack("bnnbench:apgd", steps=10, stop_when_broken=True),
        attack("bnnbench:apgd", steps=15, targets=3, stop_when_broken=True),
        attack("bnnbench:apgd", steps=15, targets=9, stop_when_broken=True),
        attack("bnnbench:apgd", steps=20, restarts=5, stop_when_broken=True),
        attack("bnnbench:fmn", steps=20, targets=3),
        attack("bnnbench:square", queries=500),
    ]
