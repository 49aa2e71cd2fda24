"""A case of the audit: one predictive under one threat, with the attacks whose numbers are reported."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.attack import Attack
from bnnbench.core.component import Component
from bnnbench.core.threat import Threat
from bnnbench.errors import NotApplicable, one_line
from bnnbench.measurements.outcome import Outcome


class Contradicted(NotApplicable):
    """A certificate has no result, since another result of the same fit contradicts what it proves."""


Find = Callable[[Component, Threat | None], Any]
"""A function that gives the result of a component under a threat; it raises `NotApplicable` if there is none."""


class Case:
    """One predictive under one threat.

    Attributes:
        threat: the threat.
        attacks: the reported attacks by label.
        nearby: the threats of the report that differ from this one in norm and epsilon at most, itself included, the
            smallest first. Others that are given as `radii` are left out.
        radii: those of them that have its norm.
        others: the attacks that are reported under other threats alone.
        box: the smallest and the largest value of an input; None if it is not known before the data are loaded.
    """

    def __init__(
        self,
        threat: Threat,
        attacks: Mapping[str, Attack],
        find: Find,
        *,
        radii: Sequence[Threat] = (),
        others: Sequence[Attack] = (),
        box: tuple[float, float] | None = None,
    ) -> None:
        self.threat, self.attacks, self.box, self._find = threat, dict(attacks), box, find
        self.others = list(others)
        alike = {one for one in radii if one.differs_in_radius_alone(threat)}
        self.nearby = sorted({threat, *alike}, key=lambda one: (one.epsilon, one.norm != threat.norm, one.norm))
        self.radii = [one for one in self.nearby if one.norm == threat.norm]

    def result(self, component: Component, threat: Threat | None = None) -> Any:
        """The result of a certificate or attack under a threat, or of a measure, which has none.

        Raises `NotApplicable` if there is none, with the reason.
        """
        return self._find(component, threat)

    def outcome(self, attack: Attack, threat: Threat | None = None) -> Outcome:
        """The outcome of an attack under a threat; by default that of the case. Raises as `result` does."""
        found: Outcome = self._find(attack, threat or self.threat)
        return found

    @property
    def reported(self) -> dict[str, Outcome]:
        """The outcomes of the reported attacks by label; those without a result are left out.

        Raises `NotApplicable` if none has a result.
        """
        found, missing = self._split
        if not found:
            raise NotApplicable(next(reversed(missing.values()), "no attack was reported"))
        return found

    @property
    def missing(self) -> dict[str, str]:
        """The labels of the reported attacks without a result, with the reasons."""
        return self._split[1]

    @functools.cached_property
    def _split(self) -> tuple[dict[str, Outcome], dict[str, str]]:
        """The outcomes of the reported attacks by label, and the reasons of those that have none."""
        found, missing = {}, {}
        for label, attack in self.attacks.items():
            try:
                found[label] = self.outcome(attack)
            except NotApplicable as error:
                missing[label] = one_line(str(error), 300)
        return found, missing

    def labels(self, *, having: Collection[str] = (), lacking: Collection[str] = ()) -> list[str]:
        """The labels of the reported attacks with outcomes that have one of some traits, and none of others.

        Without `having` any attack will do.
        """
        return [
            label
            for label in self.reported
            if (not having or self.attacks[label].traits & set(having))
            and not self.attacks[label].traits & set(lacking)
        ]

    def standing(self, labels: Collection[str] | None = None) -> NDArray[np.bool_]:
        """The images (N,) that withstand all reported attacks, or all of some; raises `NotApplicable` without any."""
        chosen = [self.reported[label] for label in (self.reported if labels is None else labels)]
        if not chosen:
            raise NotApplicable("no such attack was reported")
        return np.logical_and.reduce([outcome.robust for outcome in chosen])
