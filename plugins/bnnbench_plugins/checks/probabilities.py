"""A6: probabilities that are passed as logits."""

from __future__ import annotations

from typing import ClassVar

from bnnbench import BnnbenchError, Case, Check, Look, NotApplicable, NotLogits


class Probabilities(Check):
    """The logits are not negative and sum to one at every image: they look like probabilities.

    Such logits are squeezed between 0 and 1, so that the softmax is nearly uniform, its gradients are small, and
    softmax robustness of ten classes cannot fall below 0.85 (Carbone et al.'s code). The core refuses networks that
    return probabilities without declaring them; this check explains that.
    """

    flag: ClassVar[str] = "A6"

    def look(self, case: Case) -> Look:
        known = [one.like_probabilities for one in case.reported.values() if one.like_probabilities is not None]
        if not known:
            raise NotApplicable("the outcomes are of an earlier version")
        fired = any(known)
        text = f"the logits {'look' if fired else 'do not look'} like probabilities"
        return Look(fired, float(fired), 0, text, "return logits, or declare outputs='probabilities'" if fired else "")

    def explains(self, error: BnnbenchError) -> Look | None:
        if not isinstance(error, NotLogits):
            return None
        return Look(True, 1.0, 0, str(error))
