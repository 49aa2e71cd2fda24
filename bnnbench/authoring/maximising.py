"""The base of attacks that maximise an objective.

For example, a single step in the ball of either norm:

    class Mine(Maximising):
        def perturb(self, victim, x, y, threat, rng):
            direction = victim.direction(x, y, self.objective)      # (N, *shape)
            return threat.project(x, x + threat.epsilon * threat.steepest(direction))
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bnnbench.core.attack import Attack
from bnnbench.core.goals import GOALS
from bnnbench.core.objective import Objective, ObjectiveParameter

# The registry resolves the name when an attack is made, because parameters' defaults are validated. The distribution is
# given, so that another plugin's objective of the same name does not make every default ambiguous.
_DEFAULT: Any = "bnnbench:predictive-nll"


class Maximising(Attack):
    """An attack with the parameter `objective`, the function that it maximises.

    It pursues every goal that the attacks in it can, because the victim's values and directions of the objective lead
    to each. An attack that computes a loss of its own from logits pursues `untargeted` alone, and says so in `goals`.
    """

    objective: ObjectiveParameter = Field(default=_DEFAULT)
    """The function that is maximised. By default the loss of the classifier that is evaluated; Eq. 2 of Carbone et al.
    (2020) is `expected-loss`."""

    @property
    def maximises(self) -> Objective | None:
        return self.objective

    @property
    def goals(self) -> frozenset[str]:
        return GOALS.intersection(*(inner.goals for _, inner in self.components() if isinstance(inner, Attack)))
