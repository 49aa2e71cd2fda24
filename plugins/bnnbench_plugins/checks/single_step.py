"""A1: a single step beats many steps."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bnnbench import Case, Check, Look, NotApplicable
from bnnbench.authoring import mcnemar_more
from bnnbench_plugins.checks.comparing import counted, only


class SingleStep(Check):
    """A single-step attack breaks more images than an iterative one (Carlini et al. 2019, Section 4.2).

    Every single-step attack of the report is compared with every iterative one by McNemar's exact test, one-sided. The
    p-values are multiplied by the number of pairs (Bonferroni). An iterative attack that works begins where a single
    step ends, so this happens if steps are too large, have the wrong sign, or the best iterate is lost.
    """

    flag: ClassVar[str] = "A1"

    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value, for all pairs together: the rate of false alarms between equally strong attacks."""

    def look(self, case: Case) -> Look:
        single = case.labels(having=["single-step"])
        many = case.labels(having=["iterative"], lacking=["gradient-free", "transfer"])
        if not (single and many):
            raise NotApplicable("it compares single-step attacks with iterative ones, and one kind is not reported")
        pairs = []
        for one in single:
            for other in many:
                first, second = case.reported[one].robust, case.reported[other].robust
                counts = only(first, second), only(second, first)
                pairs.append((mcnemar_more(*counts), counts, one, other))
        p, (more, fewer), one, other = min(pairs)
        p = min(1.0, p * len(pairs))
        text = (
            f"{one} breaks {counted(more)} that {other} leaves; the other way round: {fewer} "
            f"(p {p:.2g}, flag below {self.significance:g})"
        )
        fired = p < self.significance
        return Look(fired, p, self.significance, text, f"give {other} more steps, or mend it" if fired else "")
