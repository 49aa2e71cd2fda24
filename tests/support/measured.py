"""Cases of the audit that have only what is reported and what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import bnnbench as bb
from bnnbench.evidence.audit.case import Case

Find = Callable[[Any, bb.Threat | None], Any]


def guarded(case: Case, asked: Collection[tuple[Any, bb.Threat | None]], find: Find) -> Case:
    """The same case, which fails a test that asks for more than was asked for before anything was measured."""
    reported = {(attack, under) for attack in case.attacks.values() for under in [case.threat, *case.radii]}

    def only_known(component: Any, under: bb.Threat | None) -> Any:
        assert (component, under) in reported | set(asked), f"{component!r} under {under} was not asked for"
        return find(component, under)

    return Case(case.threat, case.attacks, only_known, radii=case.radii, box=case.box)
