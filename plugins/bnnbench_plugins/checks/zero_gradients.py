"""A5: gradients that are exactly zero."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np

from bnnbench import Case, Check, Look, NotApplicable, certificate, objective


class ZeroDirection(Check):
    """The directions that all reported attacks followed were exactly zero at an image that withstands them.

    The attacks stood still there, so that the image has not been attacked (Pintor et al. 2022, I1). An image that one
    attack followed throughout has been attacked. An image that `crown` proves needs no attack, and is left out as far
    as the case has that certificate.
    """

    flag: ClassVar[str] = "A5"

    def look(self, case: Case) -> Look:
        zero = {label: one.zero_direction for label, one in case.reported.items() if one.zero_direction is not None}
        if not zero:
            raise NotApplicable("no reported attack follows directions")
        still = np.logical_and.reduce([case.standing(), *zero.values()])
        count = int((still & ~_proven(case)).sum()) if still.any() else 0
        text = (
            f"{', '.join(zero)} had a direction of exactly zero at {count} image{'s' * (count != 1)} that withstand"
            f"{'s' * (count == 1)} and that no certificate proves (flag above 0)"
        )
        return Look(count > 0, count, 0, text, self._remedy(case, zero) if count else "")

    @staticmethod
    def _remedy(case: Case, labels: Iterable[str]) -> str:
        """What to do about attacks that stand still: to follow `log-margin`, or something else where that is followed.

        An attack that maximises no one objective throughout follows margins.
        """
        followed = [case.attacks[label].maximises for label in labels]
        saturate = all(one is not None and one != objective("bnnbench:log-margin") for one in followed)
        if case.threat.goal in ("untargeted", "targeted") and saturate:
            return "follow `log-margin`, which does not saturate"
        return "attack without gradients (`square`), and from more random starts"


def _proven(case: Case) -> np.ndarray:
    """The images (N,) that the certificate `crown` proves; none where the case does not have its result."""
    try:
        proven: np.ndarray = case.result(certificate("bnnbench:crown"), case.threat).holds
    except NotApplicable:
        return np.zeros(len(case.standing()), bool)
    return proven


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
