"""A12: the attacker does not have the draws that defend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Case, Check, Look, NotApplicable, Threat
from bnnbench.authoring import mcnemar_more
from bnnbench_plugins.checks.comparing import counted, only, withstood


class SampleMismatch(Check):
    """The reported attacker lacks some draws that defend, and one that has them breaks significantly more images.

    The reported attacks are run again under the stream `fixed` with all draws, and compared by McNemar's exact test,
    one-sided. Under `fixed`, all draws defend and the attacker has them. Under `independent` only some of them defend,
    and under `fresh` others at each query, so the draws that defend differ too.
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
            raise NotApplicable("the reported attacker has all draws that defend already")
        # An attack without an outcome in the report must not count here.
        found = withstood(case, [case.attacks[label] for label in case.reported], full)
        standing = case.standing()
        more, fewer = only(found.robust, standing), only(standing, found.robust)
        p = mcnemar_more(more, fewer)
        fired = p < self.significance
        whose, remedy = self._told(case.threat)
        text = (
            f"{whose}, the same attacks break {counted(more, 'further')} and leave {counted(fewer, 'other')} "
            f"(p {p:.2g}, flag below {self.significance:g})"
        )
        return found.look(Look(fired, p, self.significance, text, remedy if fired else ""))

    @staticmethod
    def _told(threat: Threat) -> tuple[str, str]:
        """What the attacker has who is compared with the reported one, and what to report."""
        if threat.stream == "fixed":
            return "with all draws that defend", "report the attacker that has all draws: leave out attack_draws"
        return "under the stream fixed, where all draws defend and the attacker has them", "report the stream fixed"

    @staticmethod
    def _full(case: Case) -> Threat:
        """The threat whose attacker has all draws that defend."""
        return replace(case.threat, stream="fixed", attack_draws=None)
