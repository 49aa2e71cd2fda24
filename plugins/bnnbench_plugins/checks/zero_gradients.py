"""A5: gradients that are exactly zero."""

from __future__ import annotations

from typing import ClassVar, Literal

from bnnbench import Case, Check, Look, NotApplicable


class ZeroDirection(Check):
    """The direction that a reported attack followed was exactly zero at an image that withstands it.

    The attack stood still there, so that the image has not been attacked (Pintor et al. 2022, I1).
    """

    flag: ClassVar[str] = "A5"

    def look(self, case: Case) -> Look:
        zero = {label: one.zero_direction for label, one in case.reported.items() if one.zero_direction is not None}
        if not zero:
            raise NotApplicable("no reported attack follows directions")
        standing = case.standing()
        counts = {label: int((where & standing).sum()) for label, where in zero.items()}
        label = max(counts, key=lambda one: counts[one])
        worst = counts[label]
        text = f"{label} had a direction of exactly zero at {worst} images that withstand (flag above 0)"
        classes = case.threat.goal in ("untargeted", "targeted")
        remedy = "follow `log-margin`, which does not saturate" if classes else "attack without gradients (`square`)"
        return Look(worst > 0, worst, 0, text, remedy if worst else "")


class ZeroGradient(Check):
    """The plain gradient of the predictive's log-probability is exactly zero at an image.

    It is a note: the bundled attacks follow directions that do not underflow. Attacks of other libraries, and figures
    of gradients, are affected.
    """

    flag: ClassVar[str] = "A5"
    severity: ClassVar[Literal["refutes", "note"]] = "note"

    def look(self, case: Case) -> Look:
        outcome = next(iter(case.reported.values()))
        if outcome.zero_gradient is None:
            raise NotApplicable("the predictive gives no gradient")
        share = 100 * float(outcome.zero_gradient.mean())
        text = f"plain gradients are exactly zero at {share:.1f}% of the images (note above 0)"
        return Look(share > 0, share, 0, text)
