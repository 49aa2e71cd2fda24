"""A4: twice the effort moves the robust accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bnnbench import Ask, Attack, Case, Look, NotApplicable
from bnnbench_plugins.checks.comparing import FindsMore


class Convergence(FindsMore):
    """The reported attacks, with twice their effort, break images that withstand all of them (Carlini et al. 2019).

    The effort is the number of steps, queries or restarts (`Attack.stronger`). Attacks without such a parameter are
    left out.
    """

    flag: ClassVar[str] = "A4"

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(stronger, case.threat) for stronger in self._stronger(case)]

    def look(self, case: Case) -> Look:
        stronger = self._stronger(case)
        if not stronger:
            raise NotApplicable("no reported attack has a parameter for its effort")
        found = np.logical_and.reduce([case.outcome(one).robust for one in stronger])
        return self.more(found, case.standing(), "the same attacks with twice their effort", "report more steps")

    @staticmethod
    def _stronger(case: Case) -> list[Attack]:
        return [found for one in case.attacks.values() if (found := one.stronger()) is not None]
