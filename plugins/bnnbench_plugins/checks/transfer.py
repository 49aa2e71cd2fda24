"""A11: an attack on a surrogate beats the attacks on the predictive itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bnnbench import Ask, Attack, Case, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import FindsMore, alike, joined, withstood


class Transfer(FindsMore):
    """Inputs that were made for the network of mean weights break more images than all attacks on the predictive.

    Whoever sees the predictive can do all that the attack on the surrogate does, so the gradient of the predictive is
    masked then (Carlini et al. 2019). Reported attacks on surrogates count beside it. The comparison is McNemar's:
    images that only the surrogates' inputs break against those that only the attacks on the predictive do.
    """

    flag: ClassVar[str] = "A11"

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
        return self.stronger(found, standing, words, "report `transfer` and `standard`")

    @property
    def _transfer(self) -> Attack:
        return attack("bnnbench:transfer", source="mean-network")
