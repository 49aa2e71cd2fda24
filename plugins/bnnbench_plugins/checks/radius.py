"""A3: robust accuracy must not rise with the radius, and must fall to zero where anything is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Case, Check, Look, NotApplicable, Threat
from bnnbench.authoring import mcnemar_more, wilson
from bnnbench_plugins.checks.comparing import Withstood, advice, counted, only, withstood


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
            raise NotApplicable("it compares with smaller radii, and the report has none")
        standing, pairs, absent = case.standing(), [], ""
        # An attack without an outcome at this radius must not count at the smaller ones.
        attacks = [case.attacks[label] for label in case.reported]
        for one in smaller:
            try:
                before = withstood(case, attacks, one)
            except NotApplicable as error:
                absent = str(error)
                continue
            absent = before.absent or absent
            counts = only(before.robust, standing), only(standing, before.robust)
            pairs.append((mcnemar_more(*counts), counts, one.epsilon))
        if not pairs:
            raise NotApplicable(f"at the smaller radii the reported attacks have no outcome: {absent}")
        p, (more, fewer), epsilon = min(pairs)
        p = min(1.0, p * len(pairs))
        text = (
            f"withstand here and fall at {epsilon:g}: {counted(more)}; the other way round: {fewer} "
            f"(p {p:.2g}, flag below {self.significance:g})"
        )
        fired = p < self.significance
        remedy = "more steps, or more starts, at the larger radius" if fired else ""
        return Withstood(standing, absent).look(Look(fired, p, self.significance, text, remedy))


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
        widest, labels = self._widest(case), [label for label in self._labels(case) if label in case.reported]
        if case.threat.goal != "untargeted":
            raise NotApplicable(f"even without a limit, the goal '{case.threat.goal}' may be out of reach")
        if case.threat.norm != "linf":
            raise NotApplicable(f"it is about l-infinity balls, and this one is {case.threat.norm}")
        if widest is None:
            raise NotApplicable("the box of the inputs is not known, so neither is the ball that holds it")
        if not labels:
            raise NotApplicable("it runs iterative attacks with gradients, and none is reported")
        found = withstood(case, [case.attacks[label] for label in labels], widest)
        standing, images = int(found.robust.sum()), len(found.robust)
        low = 100 * wilson(standing, images)[0]
        text = (
            f"{standing} of {images} images withstand where any input is allowed: at least {low:.1f}% "
            f"(flag above {self.limit:g}%)"
        )
        fired = low > self.limit
        if fired and found.absent:
            raise NotApplicable(found.absent)  # What is left might have broken the images.
        remedy = advice(case, "try restarts, `standard` and `square`")
        return Look(fired, low, self.limit, text, remedy if fired else "")

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
