"""A2: noise beats gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Attack, Case, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import FindsMore, advice, alike, joined, withstood


class Noise(FindsMore):
    """The best of many random signs breaks images that withstand all attacks with gradients (Carlini et al. 2019).

    Reported attacks by noise count beside it.
    """

    flag: ClassVar[str] = "A2"

    images: int = Field(default=5, ge=1)
    """The least number of further images: five and none fewer are what McNemar's exact test at 5% asks for."""
    tries: int = Field(default=100, ge=1)
    """Number of random sign vectors that are tried for each image."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(self._noise, case.threat)]

    def look(self, case: Case) -> Look:
        white = case.labels(lacking=["noise", "gradient-free"])
        if not white:
            raise NotApplicable("no attack with gradients is reported")
        standing = case.standing(white)
        others = alike(case, self._noise, ["noise"])
        words = joined(f"the best of {self.tries} random signs", others)
        found = withstood(case, [self._noise, *others.values()])
        return self.more(found, standing, words, advice(case, "the attack ascends nothing: mend it"))

    @property
    def _noise(self) -> Attack:
        return attack("bnnbench:random-sign", tries=self.tries)
