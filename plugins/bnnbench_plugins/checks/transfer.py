"""A11: an attack on a surrogate beats the attacks on the predictive itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Ask, Attack, Case, Check, Look, NotApplicable, attack
from bnnbench.authoring import mcnemar_more
from bnnbench_plugins.checks.comparing import Withstood, alike, counted, joined, only, withstood


class Transfer(Check):
    """Inputs that were made for the network of mean weights break more images than all attacks on the predictive.

    Whoever sees the predictive can do all that the attack on the surrogate does, so the gradient of the predictive is
    masked then (Carlini et al. 2019). Reported attacks on surrogates count beside it. The comparison is McNemar's:
    images that only the surrogates' inputs break against those that only the attacks on the predictive do.
    """

    flag: ClassVar[str] = "A11"

    points: float = Field(default=0.5, ge=0, le=100)
    """The gain, in points of robust accuracy, above which the flag is raised. Half a point would be rounded away."""
    significance: float = Field(default=0.05, gt=0, lt=1)
    """The p-value of McNemar's exact test, one-sided, below which the flag is raised."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(self._transfer, case.threat)] if case.threat.access == "gradient" else []

    def look(self, case: Case) -> Look:
        if case.threat.access != "gradient":
            raise NotApplicable("the attacker has no gradients, so no attack on the predictive follows them")
        white = case.labels(lacking=["gradient-free", "noise", "transfer"])
        if not white:
            raise NotApplicable("no attack with gradients is reported")
        standing = case.standing(white)
        others = alike(case, self._transfer, ["transfer"])
        words = joined("inputs made for the mean network", others)
        found = withstood(case, [self._transfer, *others.values()])
        return self._stronger(found, standing, words)

    def _stronger(self, found: Withstood, standing: np.ndarray, words: str) -> Look:
        """The look at whether the attacks on surrogates (`found`) break more images (N,) than the others do."""
        further, fewer, images = only(found.robust, standing), only(standing, found.robust), len(standing)
        gain, p = 100 * (further - fewer) / images, mcnemar_more(further, fewer)
        fired = gain > self.points and p < self.significance
        text = (
            f"with {words}, {counted(further, 'further')} of {images} {'falls' if further == 1 else 'fall'}, and "
            f"{fewer} {'does' if fewer == 1 else 'do'} not: {gain:.1f} points "
            f"(flag above {self.points:g} points with p below {self.significance:g}; p {p:.2g})"
        )
        return found.look(Look(fired, gain, self.points, text, "report `transfer` and `standard`" if fired else ""))

    @property
    def _transfer(self) -> Attack:
        return attack("bnnbench:transfer", source="mean-network")
