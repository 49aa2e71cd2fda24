"""A3: robust accuracy must not rise with the radius, and must fall to zero where anything is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Ask, Case, Check, Look, NotApplicable, Threat
from bnnbench.authoring import mcnemar_more, wilson
from bnnbench_plugins.checks.comparing import only


class RadiusRise(Check):
    """More images withstand the reported attacks than in a smaller ball, which the ball holds.

    The worst case over the reported attacks is compared with that of each smaller radius of the report, by McNemar's
    exact test, one-sided, with p-values multiplied by the number of radii.
    """

    flag: ClassVar[str] = "A3"

    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value, for all radii together."""

    def look(self, case: Case) -> Look:
        smaller = [one for one in case.radii if one.epsilon < case.threat.epsilon]
        if not smaller:
            raise NotApplicable("no smaller radius is reported")
        standing, pairs = case.standing(), []
        for one in smaller:
            # An attack without an outcome at this radius must not count at the smaller one.
            attacks = [case.attacks[label] for label in case.reported]
            before = np.logical_and.reduce([case.outcome(attack, one).robust for attack in attacks])
            counts = only(before, standing), only(standing, before)
            pairs.append((mcnemar_more(*counts), counts, one.epsilon))
        p, (more, fewer), epsilon = min(pairs)
        p = min(1.0, p * len(pairs))
        text = (
            f"{more} images withstand that fall at {epsilon:g}, and {fewer} fall that withstand there "
            f"(p {p:.2g}, flag below {self.significance:g})"
        )
        fired = p < self.significance
        remedy = "more steps, or more starts, at the larger radius" if fired else ""
        return Look(fired, p, self.significance, text, remedy)


class Unconstrained(Check):
    """Images withstand the reported gradient attacks although the ball holds the whole box (Pintor et al. 2022, I6).

    With such a radius any input is allowed, so an attack that works breaks every image, unless the network gives one
    class to all inputs. It fires if the lower end of the 95% Wilson interval of the robust accuracy exceeds a limit.
    """

    flag: ClassVar[str] = "A3"

    limit: float = Field(default=0.5, ge=0, le=100)
    """The largest lower end, in percent."""

    def asks(self, case: Case) -> Sequence[Ask]:
        widest = self._widest(case)
        untargeted = case.threat.goal == "untargeted"
        return [Ask(case.attacks[label], widest) for label in self._labels(case)] if widest and untargeted else []

    def look(self, case: Case) -> Look:
        widest, labels = self._widest(case), self._labels(case)
        if case.threat.goal != "untargeted":
            raise NotApplicable("a network need not give every class or score somewhere in the box")
        if widest is None or not labels:
            raise NotApplicable("it looks at gradient attacks in l-infinity balls in a known box")
        robust = np.logical_and.reduce([case.outcome(case.attacks[label], widest).robust for label in labels])
        standing, images = int(robust.sum()), len(robust)
        low = 100 * wilson(standing, images)[0]
        text = (
            f"{standing} of {images} images withstand where any input is allowed: at least {low:.1f}% "
            f"(flag above {self.limit:g}%)"
        )
        fired = low > self.limit
        return Look(fired, low, self.limit, text, "try restarts, `standard` and `square`" if fired else "")

    @staticmethod
    def _labels(case: Case) -> list[str]:
        others = {"gradient-free", "transfer"}
        return [label for label, one in case.attacks.items() if "iterative" in one.traits and not one.traits & others]

    @staticmethod
    def _widest(case: Case) -> Threat | None:
        """The threat with the smallest ball that holds the box; None for other norms than linf or an unknown box."""
        if case.box is None or case.threat.norm != "linf":
            return None
        return replace(case.threat, epsilon=case.box[1] - case.box[0])
