"""A8: an attack without gradients beats those with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Attack, Case, Check, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import only


class BlackBox(Check):
    """An attack without gradients breaks images that withstand all reported attacks with gradients.

    The gradient is masked then (Athalye et al. 2018; Carlini et al. 2019). Each such image is a fact, not a chance, so
    no test is made; a single image may be one where two attacks ended on different sides of a boundary.
    """

    flag: ClassVar[str] = "A8"

    queries: int = Field(default=1000, ge=1)
    """Queries of the attack `square` for each image."""
    images: int = Field(default=2, ge=1)
    """The least number of further images."""
    points: float = Field(default=0.2, ge=0, le=100)
    """The gain, in points of robust accuracy, above which the flag is raised."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [] if case.threat.access == "decisions" else [Ask(self._square, case.threat)]

    def look(self, case: Case) -> Look:
        white = case.labels(lacking=["gradient-free", "noise", "transfer"])
        if not white:
            raise NotApplicable("no attack with gradients is reported")
        standing = case.standing(white)
        further = only(case.outcome(self._square).robust, standing)
        gain = 100 * further / len(standing)
        text = (
            f"square with {self.queries} queries breaks {further} images of {len(standing)} that all attacks with "
            f"gradients leave (flag from {self.images} images and above {self.points:g} points)"
        )
        fired = further >= self.images and gain > self.points
        return Look(fired, gain, self.points, text, "report `standard`, or mend the masked gradient" if fired else "")

    @property
    def _square(self) -> Attack:
        return attack("bnnbench:square", queries=self.queries)
