"""P2: the loss is unstable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from bnnbench import Ask, Case, Check, Look, Measure, NotApplicable, measure


class Unstable(Check):
    """The loss varies much in a tiny neighbourhood of the images (Pintor et al. 2022, I2: unstable predictions).

    Gradients of such a function lead nowhere, so that attacks that follow them fail. The measure `stability` gives the
    mean relative change of the loss near the clean images. No test is made: with 100 points for each image it is known
    to a few percent of itself.
    """

    flag: ClassVar[str] = "P2"

    variability: float = Field(default=0.1, gt=0, lt=1)
    """The largest mean relative change of the loss."""
    radius: float = Field(default=1e-3, gt=0, le=1)
    """The radius of the neighbourhood, in widths of the box."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(self._stability, None)] if case.threat.access != "decisions" else []

    def look(self, case: Case) -> Look:
        if case.threat.access == "decisions":
            raise NotApplicable("the attacker has no scores")
        found = float(case.result(self._stability)["variability"].mean())
        fired = found > self.variability
        text = (
            f"the loss changes by {100 * found:.2g}% within {100 * self.radius:g}% of the box's width "
            f"(flag above {100 * self.variability:g}%)"
        )
        remedy = "attack without gradients (`square`), or average gradients over random points" if fired else ""
        return Look(fired, found, self.variability, text, remedy)

    @property
    def _stability(self) -> Measure:
        return measure("bnnbench:stability", radius=self.radius)
