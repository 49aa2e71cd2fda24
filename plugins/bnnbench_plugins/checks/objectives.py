"""A13: the number depends on the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bnnbench import Ask, Attack, Case, Look, NotApplicable, objective
from bnnbench_plugins.checks.comparing import FindsMore

NAMES = ("predictive-nll", "expected-loss", "log-margin")
"""The objectives that every reported attack is run with."""


class Objectives(FindsMore):
    """The reported attacks, with other objectives, break images that withstand all of them.

    The objectives are the predictive loss, the expected loss of Carbone et al. (2020, Eq. 2), and the log margin. On a
    posterior of large variance, the expected loss alone has left 37 points more than the worst case.
    """

    flag: ClassVar[str] = "A13"

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(one, case.threat) for one in self._others(case)]

    def look(self, case: Case) -> Look:
        others = self._others(case)
        if not others:
            raise NotApplicable("no reported attack follows one objective")
        found = np.logical_and.reduce([case.outcome(one).robust for one in others])
        return self.more(found, case.standing(), "the same attacks with other objectives", "report several objectives")

    @staticmethod
    def _others(case: Case) -> list[Attack]:
        """Each iterative attack that follows one objective, with each of the other objectives."""
        return [
            one.model_copy(update={"objective": other})
            for one in case.attacks.values()
            if one.maximises is not None and one.traits & {"iterative"}
            for other in (objective(f"bnnbench:{name}") for name in NAMES)
            if other != one.maximises
        ]
