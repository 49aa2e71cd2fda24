"""A9 and A10: what the recorded steps of an attack say."""

from __future__ import annotations

import math
import warnings
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Attack, Case, Check, Look, NotApplicable
from bnnbench_plugins.checks.comparing import counted, lacks_draws


class Unfinished(Check):
    """The objective is still rising at the end of an iterative attack (Pintor et al. 2022, I4).

    Of each image that withstands an attack, the best objective so far is followed over the recorded steps of each run:
    an attack with `restarts` records one run after another. The flag is raised if the last tenths of the runs bring
    more than a share of the gain of the runs, in the sum over images and runs, of every attack that follows one
    objective throughout (`Attack.maximises`). Attacks whose runs cannot be told apart are left out.
    """

    flag: ClassVar[str] = "A9"

    share: float = Field(default=0.01, gt=0, lt=1)
    """The largest share of the gain that the last tenth of the steps of each run may bring."""
    least_steps: int = Field(default=10, ge=2)
    """The least number of recorded steps of each run: of fewer, a tenth is no step."""

    def look(self, case: Case) -> Look:
        shares = {
            label: share
            for label in case.labels(having=["iterative"])
            if case.attacks[label].maximises is not None and (share := self._share(case, label)) is not None
        }
        if not shares:
            raise NotApplicable(
                f"no reported attack has recorded one objective over {self.least_steps} steps or more of runs that can "
                "be told apart, at images that withstand"
            )
        # The worst case is unfinished only if every attack that it holds is.
        label = min(shares, key=lambda one: shares[one])
        share = shares[label]
        text = (
            f"the last tenth of the steps of each run of {label} brings {100 * share:.2g}% of the gain "
            f"(flag above {100 * self.share:g}%)"
        )
        fired = share > self.share
        return Look(fired, share, self.share, text, f"give {label} more steps" if fired else "")

    def _share(self, case: Case, label: str) -> float | None:
        """The share of the gain in the last tenth of the steps of each run; None if nothing was gained.

        It is None too if too little was recorded, or runs that cannot be told apart.
        """
        outcome, runs = case.reported[label], _runs(case.attacks[label])
        values = outcome.steps.get("objective")
        if values is None or runs is None or len(values) < self.least_steps * runs or not outcome.robust.any():
            return None
        # An attack that stops early may cut a run short, or leave one out, once all images are broken. Images that
        # withstand are not, unless with the draws of the attacker.
        if len(values) % runs or (runs > 1 and case.attacks[label].stops_early and lacks_draws(case)):
            return None
        split = np.split(values[:, outcome.robust].astype(float), runs)
        last, whole = np.sum([_gains(run) for run in split], axis=0)
        return float(last / whole) if whole > 0 else None


def _runs(attack: Attack) -> int | None:
    """The number of runs that an attack records one after another; None if they cannot be told apart.

    They are its `restarts`, times those of the attack that it holds. Several attacks have runs of several lengths.
    """
    held = [inner for _, inner in attack.components() if isinstance(inner, Attack)]
    fields = [dict(one) for one in (attack, *held)]
    restarts = [values["restarts"] for values in fields if "restarts" in values]
    if len(held) > 1 or not all(isinstance(number, int) for number in restarts):
        return None
    return math.prod(restarts)


def _gains(values: np.ndarray) -> tuple[float, float]:
    """The gains of the best objective in the last tenth of the steps of a run (steps, N), and in all of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # An image that was never queried has no number.
        best = np.fmax.accumulate(values, axis=0)
    best = best[:, np.isfinite(best).all(0)]
    last = len(best) - max(1, round(len(best) / 10)) - 1
    return float((best[-1] - best[last]).sum()), float((best[-1] - best[0]).sum())


class SilentSuccess(Check):
    """An attack recorded that an iterate was adversarial, and returned an input that is not (Pintor et al. 2022, I3).

    It reads the recorded steps `broken` of attackers who have all the draws that defend: a success with other draws is
    none.
    """

    flag: ClassVar[str] = "A10"

    def look(self, case: Case) -> Look:
        if lacks_draws(case):
            raise NotApplicable("the attacker does not have all draws that defend, so its success is none of theirs")
        if case.threat.score == "mutual-information":
            raise NotApplicable("an attack does not see the draws' entropies, so it records no success of this goal")
        recorded = {label: one for label, one in case.reported.items() if "broken" in one.steps}
        if not recorded:
            raise NotApplicable("no reported attack has recorded its successes")
        lost = {label: self._lost(one.steps["broken"], one.robust) for label, one in recorded.items()}
        label = max(lost, key=lambda one: lost[one])
        count = lost[label]
        text = f"{label} broke {counted(count)} on its way that its results do not break (flag above 0)"
        return Look(count > 0, count, 0, text, f"let {label} return its best iterate" if count else "")

    @staticmethod
    def _lost(broken: np.ndarray, robust: np.ndarray) -> int:
        """The number of images of which a step was broken although they count as robust; NaN is no success."""
        return int(((np.nan_to_num(broken.astype(float)) > 0).any(0) & robust).sum())
