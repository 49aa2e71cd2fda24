"""A12: the attacker does not have the draws that defend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Ask, Case, Check, Look, NotApplicable, Threat
from bnnbench.authoring import mcnemar_more
from bnnbench_plugins.checks.comparing import only


class SampleMismatch(Check):
    """The reported attacker lacks some draws that defend, and one that has them breaks significantly more images.

    The reported attacks are run again with all the draws that defend (stream `fixed`), and compared by McNemar's exact
    test, one-sided.
    """

    flag: ClassVar[str] = "A12"

    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value: the rate of false alarms if both attackers were equally strong."""

    def asks(self, case: Case) -> Sequence[Ask]:
        full = self._full(case)
        return [] if full == case.threat else [Ask(one, full) for one in case.attacks.values()]

    def look(self, case: Case) -> Look:
        full = self._full(case)
        if full == case.threat:
            raise NotApplicable("the attacker has the draws that defend")
        # An attack without an outcome in the report must not count here.
        found = np.logical_and.reduce([case.outcome(case.attacks[label], full).robust for label in case.reported])
        standing = case.standing()
        more, fewer = only(found, standing), only(standing, found)
        p = mcnemar_more(more, fewer)
        text = (
            f"with the draws that defend, the same attacks break {more} further images and leave {fewer} others "
            f"(p {p:.2g}, flag below {self.significance:g})"
        )
        fired = p < self.significance
        return Look(fired, p, self.significance, text, "report the stream fixed" if fired else "")

    @staticmethod
    def _full(case: Case) -> Threat:
        """The threat whose attacker has all draws that defend."""
        return replace(case.threat, stream="fixed", attack_draws=None)
