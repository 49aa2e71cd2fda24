"""A16: the attack `standard` beats the reported attacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bnnbench import Ask, Attack, Case, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import FindsMore, withstood


class Reference(FindsMore):
    """The ensemble of attacks `standard` breaks images that withstand all reported attacks.

    It is the strongest attack that is bundled: a report without it is an upper bound that is known to be loose, if
    this flag is raised.
    """

    flag: ClassVar[str] = "A16"

    def asks(self, case: Case) -> Sequence[Ask]:
        return [] if case.threat.access == "decisions" else [Ask(self._standard, case.threat)]

    def look(self, case: Case) -> Look:
        if case.threat.access == "decisions":
            raise NotApplicable("the attacker has no scores")
        found = withstood(case, [self._standard])
        return self.more(found, case.standing(), "the attack standard", "report `standard`")

    @property
    def _standard(self) -> Attack:
        return attack("bnnbench:standard")
