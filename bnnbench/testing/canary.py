"""A canary: a case that is broken in a known way, and the checks that must raise their flags there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.components import attack as named_attack
from bnnbench.core.attack import Attack
from bnnbench.core.component import Component
from bnnbench.core.dataset import Data
from bnnbench.core.foreign import predictive
from bnnbench.core.threat import Threat
from bnnbench.errors import AccessRefused, Incompatible, NotApplicable
from bnnbench.evidence.audit.audit import Audit
from bnnbench.evidence.audit.case import Case
from bnnbench.evidence.audit.program import audit
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import measurement_of


@dataclass(frozen=True, eq=False)
class Canary:
    """A model with data, threats and reported attacks, of which one thing is broken, or none in a sound case.

    Attributes:
        name: the name of the canary.
        checks: the registered names of the checks that must raise their flags; empty if the case is sound.
        model: a predictive, or a module.
        data: the data, which are test points only.
        threats: the threats, the smallest radius first. The audit is about the last one.
        attacks: the reported attacks by label.
        exact: whether no attack can succeed at each image, (N,); None where that is not known.
    """

    name: str
    checks: tuple[str, ...]
    model: Any
    data: Data
    threats: tuple[Threat, ...]
    attacks: Mapping[str, str | Attack]
    exact: NDArray[np.bool_] | None = None

    def audit(self, *, seed: int = 0) -> Audit:
        """The audit of the last threat, by all installed checks. `seed` determines the attacks' random numbers."""
        images = len(self.data.test[0])
        return audit(self.model, self.data, threat=self.threats, images=images, attacks=self.attacks, seed=seed)[-1]

    def case(self, *, seed: int = 0) -> Case:
        """The case of the last threat, for the `look` of a single check. What the check needs is measured on demand.

        `seed` determines the attacks' random numbers. Raises `NetworkError` for a model that is refused.
        """
        known: dict[tuple[Component, Threat | None], Any] = {}
        model, threats = predictive(self.model), [one.with_box(self.data.bounds) for one in self.threats]

        def find(component: Component, threat: Threat | None) -> Any:
            if (component, threat) not in known:
                images, under = len(self.data.test[0]), threat or threats[-1]
                defence = Defence(model, self.data, under, images=images, draws=None, seed=seed)
                known[component, threat] = measured(component, defence, threat)
            return known[component, threat]

        attacks = {label: named_attack(one) if isinstance(one, str) else one for label, one in self.attacks.items()}
        return Case(threats[-1], attacks, find, radii=threats, box=self.data.bounds)

    def missed(self, audit: Audit) -> list[str]:
        """The checks that should have raised their flags in an audit of this canary, and did not."""
        return [name for name in self.checks if name not in {flag.name for flag in audit.flags}]


def measured(component: Component, defence: Defence, threat: Threat | None) -> Any:
    """The result of a component of a kind that makes cells. Raises `NotApplicable` if it does not fit the defence."""
    try:
        return measurement_of(component).run(defence, [] if threat is None else [threat], "few")[0]
    except (AccessRefused, Incompatible) as error:
        raise NotApplicable(str(error)) from error
