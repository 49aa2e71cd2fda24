"""Cases of the audit whose outcomes are made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import bnnbench as bb
from bnnbench.measurements.outcome import Outcome
from tests.support.outcomes import outcome

THREAT = bb.Threat(epsilon=0.1, bounds=(0, 1))
FGSM, PGD, NOISE = bb.attack("fgsm"), bb.attack("pgd"), bb.attack("random-sign", tries=100)


def case(
    reported: Mapping[bb.Attack, str | Outcome],
    further: Mapping[tuple[Any, bb.Threat], str | Outcome] | None = None,
    *,
    threat: bb.Threat = THREAT,
    radii: Sequence[bb.Threat] = (),
    box: tuple[float, float] | None = (0, 1),
) -> bb.Case:
    """A case of ten images, 1 where an attack leaves one right and 0 where it does not.

    `reported` are the attacks of the report, under `threat`; `further` has other results by attack and threat. What
    has none is not applicable.
    """
    known = {**{(attack, threat): bits for attack, bits in reported.items()}, **(further or {})}

    def find(component: Any, under: bb.Threat | None) -> Outcome:
        if (component, under) not in known:
            raise bb.NotApplicable("it was not measured")
        found = known[component, under]
        return outcome(found) if isinstance(found, str) else found

    labelled = {f"{type(attack).__name__} {place}": attack for place, attack in enumerate(reported)}
    return bb.Case(threat, labelled, find, radii=radii, box=box)


def stepped(robust: str, **steps: Sequence[Sequence[float]]) -> Outcome:
    """An outcome with recorded steps by name, (steps, 10)."""
    return replace(outcome(robust), steps={name: np.array(values, "f4") for name, values in steps.items()})
