"""A13: the number depends on the objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Attack, Case, Look, NotApplicable, objective
from bnnbench_plugins.checks.comparing import FindsMore, withstood

NAMES = ("predictive-nll", "expected-loss", "log-margin")
"""The objectives that every reported attack is run with."""


class Objectives(FindsMore):
    """The reported attacks, with other objectives, break images that withstand all of them.

    The objectives are the predictive loss, the expected loss of Carbone et al. (2020, Eq. 2), and the log margin. On a
    posterior of large variance, the expected loss alone has left 37 points more than the worst case.
    """

    flag: ClassVar[str] = "A13"

    images: int = Field(default=5, ge=1)
    """The least number of further images: five and none fewer are what McNemar's exact test at 5% asks for."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(one, case.threat) for one in self._others(case.attacks.values())] if self._matter(case) else []

    def look(self, case: Case) -> Look:
        if not self._matter(case):
            raise NotApplicable(f"all attacks follow the score to the goal '{case.threat.goal}', and no objective")
        others = self._others(case.attacks[label] for label in case.reported)
        if not others:
            raise NotApplicable("no reported attack is iterative and follows one objective")
        found = withstood(case, others)
        return self.more(found, case.standing(), "the same attacks with other objectives", "report several objectives")

    @staticmethod
    def _matter(case: Case) -> bool:
        """Whether an objective leads to the goal. To goals about uncertainty it is the score, whatever the attack."""
        return case.threat.goal in ("untargeted", "targeted")

    @staticmethod
    def _others(attacks: Iterable[Attack]) -> list[Attack]:
        """Each iterative attack that follows one objective, with each of the other objectives."""
        return [
            one.model_copy(update={"objective": other})
            for one in attacks
            if one.maximises is not None and one.traits & {"iterative"}
            for other in (objective(f"bnnbench:{name}") for name in NAMES)
            if other != one.maximises
        ]
