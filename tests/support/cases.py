"""What one check of the audit sees in one predictive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bnnbench as bb
from bnnbench.errors import AccessRefused, Incompatible
from bnnbench.evidence.audit.case import Case
from bnnbench.measurements.measurement import measurement_of


def case_of(
    predictive: bb.Predictive, data: bb.Data, threat: bb.Threat, attacks: Mapping[str, bb.Attack], *, images: int = 50
) -> Case:
    """The case of some reported attacks; what checks ask for is measured when they ask."""

    def find(component: Any, under: bb.Threat | None) -> Any:
        defence = bb.Defence(
            predictive, data, (under or threat).with_box(data.bounds), images=images, draws=None, seed=0
        )
        try:
            return measurement_of(component).run(defence, [] if under is None else [defence.threat], "few")[0]
        except (AccessRefused, Incompatible) as error:
            raise bb.NotApplicable(str(error)) from error

    return Case(threat, attacks, find, box=data.bounds)


def looked(
    check: bb.Check,
    predictive: bb.Predictive,
    data: bb.Data,
    epsilon: float,
    *attacks: bb.Attack | str,
    images: int = 50,
) -> bb.Look:
    """What a check sees; the attacks are instances or registered names, and `pgd` if there are none."""
    made = [bb.attack(one) if isinstance(one, str) else one for one in attacks or ["pgd"]]
    labelled = {f"{type(one).__name__} {place}": one for place, one in enumerate(made)}
    return check.look(case_of(predictive, data, bb.Threat(epsilon=epsilon), labelled, images=images))
