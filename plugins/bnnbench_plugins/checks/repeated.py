"""A7: a randomised predictor that is attacked as if it were fixed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import BnnbenchError, Case, Check, Look, NotApplicable, NotRepeatable


class RepeatedPasses(Check):
    """Repeated passes over the same images differ: the predictor is random, and was attacked as if it were fixed.

    The core refuses networks that give other outputs when they are called again; this check explains that. Otherwise
    it compares the clean predictions that each reported attack met, if these come from passes of their own. A random
    predictor must be attacked under the stream `fresh`, which averages over its draws (Athalye et al. 2018).
    """

    flag: ClassVar[str] = "A7"

    tolerance: float = Field(default=0.01, ge=0)
    """The largest difference of log-probabilities, in nats, that counts as rounding."""

    def look(self, case: Case) -> Look:
        if case.threat.stream == "fresh":
            raise NotApplicable("under the stream fresh every query has other draws, and the attack knows")
        first, *others = [one.clean_log_probs for one in case.reported.values()]
        # Outcomes that share an array share the pass that made it.
        others = [one for one in others if not np.may_share_memory(one, first)]
        if not others:
            raise NotApplicable("one pass over the clean images was made, so that there is none to compare it with")
        largest = max(float(np.abs(one - first).max()) for one in others)
        text = f"repeated passes over the clean images differ by {largest:.2g} nats (flag above {self.tolerance:g})"
        return Look(largest > self.tolerance, largest, self.tolerance, text)

    def explains(self, error: BnnbenchError) -> Look | None:
        if not isinstance(error, NotRepeatable):
            return None
        return Look(True, np.inf, self.tolerance, str(error), "fix the draws, or attack under the stream fresh")
