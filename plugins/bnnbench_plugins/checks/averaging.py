"""A14: that gradients vanish with the number of draws is only averaging."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from bnnbench import Ask, Case, Check, Look, Measure, NotApplicable, measure


class Averaging(Check):
    """The norm of the draws' average gradient falls, but no faster than the average of independent gradients does.

    Carbone et al. (2020, Figures 2 and 3) show gradients that vanish as more draws are averaged. The average of
    independent gradients falls in any case: as 1 / sqrt(draws), down to the norm of the mean gradient. So the fall is
    no evidence of the limit of their Theorem 1, nor of robustness. The flag is raised if

    1. there is a fall to explain: the average's norm, by the root mean square over images, is at most `fall` of that of
       one draw's gradient, and
    2. it is no faster than 1 / sqrt(effective draws): the unbiased estimate of the squared norm of the mean gradient
       (`gradients.plateau`) is not significantly below zero, so that the upper end of its 95% interval is not.

    The text says whether that interval lies above zero: then the gradient has a plateau that more draws do not remove.
    If all gradients are independent, 2. fails in at most 2.5% of cases; it was 1% or less in simulations with 5 to 100
    draws, skewed gradients included. A norm that falls faster shows draws whose gradients cancel each other.

    It is a note: attacks are scored on the draws that defend, whatever their gradients are.
    """

    flag: ClassVar[str] = "A14"
    severity: ClassVar[Literal["refutes", "note"]] = "note"

    fall: float = Field(default=0.5, gt=0, le=1)
    """The largest share of the norm of one draw's gradient that counts as a fall."""
    least_draws: int = Field(default=5, ge=3)
    """The least effective number of draws: of fewer, the norm hardly falls and the error is hardly known."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(self._gradients, None)] if case.threat.access == "gradient" else []

    def look(self, case: Case) -> Look:
        if case.threat.access != "gradient":
            raise NotApplicable("the attacker has no gradients")
        values = case.result(self._gradients)
        figures = self._gradients.figures(values)
        known, draws = figures["effective_draws"], values["draws"]
        effective = known or draws
        if effective < self.least_draws:
            raise NotApplicable(f"it needs {self.least_draws} effective draws, and there are {effective:.3g}")
        if not (values["square"] > 0).any():
            raise NotApplicable("all gradients are zero")
        low, high = figures["plateau_low"], figures["plateau_high"]
        assert low is not None
        assert high is not None, "there are enough draws for an interval"
        average, single = math.sqrt((values["norm"][:, -1] ** 2).mean()), math.sqrt(values["square"].mean())
        null = single / math.sqrt(effective)
        fired = average <= self.fall * single and high >= 0
        taken = "" if known else ", taken as independent"
        finding = "a plateau above zero" if low > 0 else "below what averaging explains" if high < 0 else "no plateau"
        text = (
            f"the gradient's norm falls from {single:.3g} to {average:.3g} over {draws} draws "
            f"({effective:.3g} effective{taken}), averaging alone gives {null:.3g}; squared norm of the mean "
            f"[{low:.2g}, {high:.2g}]: {finding} (note from 0)"
        )
        return Look(fired, high, 0, text, "claim nothing from gradients that vanish with the draws" if fired else "")

    @property
    def _gradients(self) -> Measure:
        return measure("bnnbench:gradients")
