"""The ensemble of attacks whose number can be quoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
    3. `apgd` on the margins of the three most probable other classes, 15 steps each.
    4. On images that keep less than half of their clean log margin: `apgd` on the margins of the nine most probable
       other classes, 10 steps each, from other random starts.
    5. On images that keep less than a fifth: `apgd` on the difference of logits ratio, 20 steps from each of two random
       starts. Its maxima lie elsewhere.
    6. On these: `apgd` on the margins of two classes, 100 steps from each of two random starts.
    7. On images that keep less than a tenth: `fmn` on the margins of two classes, 50 steps each. It comes from the
       clean input.
    8. On these: `apgd` on the margins of three classes, 100 steps each.
    9. `square`, 300 queries: it uses no gradient, and breaks images whose gradient is masked.

    Long runs break images alone, as a rule, that shorter ones have brought near to the boundary. They are few, so that
    their runs may be long. Stages 1 to 8 are left out where the threat or the model gives no gradient, and stage 5
    where there are two classes. A released recipe never changes: a better one will have another number, so that
    figures can be compared. The random numbers of a stage are drawn for the images that stand, so that what is found
    for an image depends a little on the others. An image is left alone once it is misclassified, so softmax robustness
    is not reported. Raises `Incompatible` under the stream `fresh`, where one query does not tell whether an image
    stands.
    """

    revision: ClassVar[int | None] = 3
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    recipe: int = Field(default=1, ge=1, le=1)
    """The number of the recipe."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        if threat.stream == "fresh":
            raise Incompatible("the attack standard is defined for the streams fixed and independent alone")
        best = Best(x)
        classes = self._offer(victim, best, x, y, best.everywhere, threat)
        clean, gradients = best.value.clone(), threat.access == "gradient"
        for stage in _stages(classes):
            standing = best.unbroken
            if len(standing) == 0:
                break
            if not gradients and "gradient-free" not in stage.attack.traits:
                continue
            # The images that stand are right, so that both margins are negative.
            at = standing[best.value[standing] >= stage.keeps * clean[standing]]
            try:
                found = stage.attack.run_on(victim.among(at), x[at], y[at], threat, rng) if len(at) else x[at]
            except GradientRefused:
                gradients = False
                continue
            self._offer(victim, best, found, y, at, threat)
        return best.inputs

    @staticmethod
    def _offer(victim: Victim, best: Best, found: Tensor, y: Tensor, at: Tensor, threat: Threat) -> int:
        """Score inputs `found` (n, *shape) of the images at positions `at` (n,), offer them to `best`, and record.

        The number of classes is returned.
        """
        log_probs, value = victim.among(at).score(found, y[at], MARGIN)
        best.offer(found, threat.broken(log_probs, y[at]), value, at)
        standing = best.latest_value.new_zeros(len(best.inputs))
        standing[best.unbroken] = 1
        victim.record("standing", standing)
        return log_probs.shape[-1]

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted"])

    @property
    def stops_early(self) -> bool:
        return True


@dataclass(frozen=True)
class _Stage:
    """An attack, the share of its clean log margin that an image keeps at most, and the fewest classes it is for."""

    attack: Attack
    keeps: float = 1.0
    classes: int = 2


def _stages(classes: int) -> list[_Stage]:
    """The stages of recipe 1 against so many classes."""
    stages = [
        _Stage(attack("bnnbench:fgsm", objective=objective(MARGIN))),
        _Stage(_climb(steps=10)),
        _Stage(_climb(steps=15, targets=3)),
        _Stage(_climb(steps=10, targets=9), keeps=0.5),
        _Stage(_climb(steps=20, restarts=2, objective=objective("bnnbench:dlr")), keeps=0.2, classes=3),
        _Stage(_climb(steps=100, targets=2, restarts=2), keeps=0.2),
        _Stage(attack("bnnbench:fmn", steps=50, targets=2), keeps=0.1),
        _Stage(_climb(steps=100, targets=3), keeps=0.1),
        _Stage(attack("bnnbench:square", queries=300)),
    ]
    return [stage for stage in stages if stage.classes <= classes]


def _climb(**parameters: Any) -> Attack:
    """`apgd` with these parameters, which leaves an image alone once it is misclassified."""
    return attack("bnnbench:apgd", stop_when_broken=True, **parameters)
