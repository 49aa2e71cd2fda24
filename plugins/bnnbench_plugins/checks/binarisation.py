"""A15: planted adversarial inputs are not found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Ask, Case, Check, Look, Measure, NotApplicable, Threat, measure


class Planted(Check):
    """The reported attacks do not find adversarial inputs that are known to exist (Zimmermann et al. 2022).

    The measure `binarisation` gives every draw a new last layer, so that a known point on the surface of the ball is
    adversarial. Each reported iterative attack with gradients is run on the same such ensembles, and one that any of
    them breaks counts as found. The flag is raised if the share is below a threshold by the exact binomial test,
    one-sided: attacks that find the threshold's share of them raise it at most at the rate `significance`.
    """

    flag: ClassVar[str] = "A15"

    success: float = Field(default=0.95, gt=0, lt=1)
    """The share of planted inputs that attacks which work find at least."""
    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value."""
    tests: int = Field(default=32, ge=2)
    """Number of images. With 32, the flag needs that 5 planted inputs are missed."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(one, None) for one in self._measures(case).values()]

    def look(self, case: Case) -> Look:
        measures = self._measures(case)
        if not measures:
            raise NotApplicable(self._why_not(case.threat))
        results, reason = [], ""
        for one in measures.values():
            try:
                results.append(case.result(one))
            except NotApplicable as error:
                reason = str(error)
        if not results:
            raise NotApplicable(reason)
        possible = results[0]["possible"]
        usable = int(possible.sum())
        if not usable:
            raise NotApplicable(
                "no adversarial input can be planted: at no image do the network's features tell a point on the "
                "surface of the ball from those inside"
            )
        from scipy.special import bdtr  # The distribution function of the binomial; scipy.stats takes long to import.

        found = int(np.logical_or.reduce([one["found"] for one in results]).sum())
        by_chance = int(results[0]["random_found"].sum())
        p = float(bdtr(found, usable, self.success))
        fired = p < self.significance
        text = (
            f"{found} of {usable} planted adversarial inputs are found, {by_chance} by random points (flag below "
            f"{100 * self.success:g}% with p below {self.significance:g}; p {p:.2g})"
        )
        remedy = "give the attack more steps or restarts, or mend it" if fired else ""
        return Look(fired, found / usable, self.success, text, remedy)

    @staticmethod
    def _why_not(threat: Threat) -> str:
        """Why no reported attack can be tested under a threat."""
        if threat.access != "gradient":
            return "it tests attacks with gradients, and the attacker has none"
        if threat.goal != "untargeted":
            return f"planted inputs are of another class, which is not what the goal '{threat.goal}' asks for"
        if threat.epsilon == 0:
            return "a ball of radius 0 holds no input that could be planted"
        return "it tests iterative attacks with gradients on the predictive itself, and none is reported"

    def _measures(self, case: Case) -> dict[str, Measure]:
        """The measure of each attack that is tested, by the attack's label."""
        threat = case.threat
        if threat.access != "gradient" or threat.goal != "untargeted" or threat.epsilon == 0:
            return {}
        return {
            label: measure(
                "bnnbench:binarisation", attack=one, epsilon=threat.epsilon, norm=threat.norm, tests=self.tests
            )
            for label, one in case.attacks.items()
            if one.traits & {"iterative"} and not one.traits & {"gradient-free", "transfer"}
        }
