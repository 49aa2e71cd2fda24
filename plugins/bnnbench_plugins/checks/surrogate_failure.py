"""P5: an attack on a surrogate succeeds there and fails on the model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bnnbench import Case, Check, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import counted


class SurrogateFailure(Check):
    """The number rests on attacks on a surrogate, whose inputs break the surrogate and not the model.

    This is I5, transfer failure, of Pintor et al. (2022). Such an image was not attacked: that the inputs do not
    transfer says that the two differ, not that the model is robust. It reads the recorded step `surrogate_broken`. If
    attacks on the predictive itself are reported too, the number does not rest on the surrogate and nothing is looked
    at.
    """

    flag: ClassVar[str] = "P5"

    def look(self, case: Case) -> Look:
        if case.labels(lacking=["transfer", "noise"]):
            raise NotApplicable("attacks on the predictive itself are reported")
        labels = case.labels(having=["transfer"])
        if not labels:
            raise NotApplicable("no attack on a surrogate is reported")
        recorded = [case.reported[label].steps["surrogate_broken"] for label in labels if self._records(case, label)]
        if not recorded:
            raise NotApplicable("no reported attack has recorded whether it broke its surrogate")
        broken = np.logical_or.reduce([(np.nan_to_num(steps.astype(float)) > 0).any(0) for steps in recorded])
        lost = int((broken & case.standing()).sum())
        text = f"withstand by inputs that break the surrogate: {counted(lost)} of {len(broken)} (flag above 0)"
        return Look(lost > 0, lost, 0, text, _remedy(case) if lost else "")

    @staticmethod
    def _records(case: Case, label: str) -> bool:
        return "surrogate_broken" in case.reported[label].steps


_BY_ACCESS = {"gradient": "pgd", "scores": "square", "decisions": "boundary"}
"""An attack on the predictive itself, by what the threat lets an attacker see."""


def _remedy(case: Case) -> str:
    """What to do: to attack the predictive itself, with an attack that the threat and the predictive allow if any."""
    name = _BY_ACCESS[case.threat.access]
    if name == "pgd" and any(outcome.zero_gradient is None for outcome in case.reported.values()):
        name = "square"  # The predictive gives no gradient.
    one = attack(f"bnnbench:{name}")
    known = case.threat.norm in one.norms and case.threat.goal in one.goals
    return f"attack the predictive itself{f', as `{name}` does' if known else ''}"
