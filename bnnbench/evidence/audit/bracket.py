"""The bracket: what certificates prove, what withstands every attack, and where the two contradict each other."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.attack import Attack
from bnnbench.core.certificate import Certificate
from bnnbench.core.component import Component
from bnnbench.core.threat import Threat
from bnnbench.errors import NotApplicable, one_line
from bnnbench.evidence.audit.audit import Bracket, Flag
from bnnbench.evidence.audit.case import Case, Contradicted
from bnnbench.evidence.audit.check import Ask, Look
from bnnbench.evidence.false_proofs import longest
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from bnnbench.plugins.installed import registry

CERTIFICATES = ("crown",)
"""The names of the bundled certificates by which every audit bounds the truth from below."""


@dataclass(frozen=True)
class Proofs:
    """The certificates of a bracket by name: those of the report, and the default ones that are run beside them."""

    reported: Mapping[str, Certificate] = field(default_factory=dict)
    default: Mapping[str, Certificate] = field(default_factory=dict)

    @classmethod
    def beside(cls, reported: Mapping[str, Certificate]) -> Self:
        """The certificates of a report, and the default ones of other classes, as far as installed."""
        known, classes = registry().names("certificate"), {type(one) for one in reported.values()}
        made = {name: registry().create("certificate", name, {}) for name in CERTIFICATES if name in known}
        left = {name: one for name, one in made.items() if type(one) not in classes}
        # A label may be the name of a default certificate.
        return cls(reported, {f"bnnbench:{name}" if name in reported else name: one for name, one in left.items()})

    @property
    def all(self) -> dict[str, Certificate]:
        """All of them, those of the report first."""
        return {**self.reported, **self.default}


class Bracketed(NamedTuple):
    """A bracket, the flags that say that a proof is wrong, and the certificates without a result, with the reasons."""

    bracket: Bracket
    flags: list[Flag]
    unseen: dict[str, str]


def bracketed(case: Case, proofs: Proofs, asks: Sequence[Ask], reported: NDArray[np.bool_]) -> Bracketed:
    """The bracket of a case: what certificates prove, and what withstands every attack that was run under the threat.

    `asks` are what checks ask for, and `reported` (N,) says which images withstand all reported attacks. If another
    result contradicts a proof, a flag says so, and the bracket has no lower end. A default certificate without a result
    is named only where nothing else is proven.
    """
    proven, absent = _proven(case, proofs)
    standing = _standing(case, asks, reported, list(proven.values()))
    false = [str(reason) for reason in absent.values() if isinstance(reason, Contradicted)]
    flags = [_false_proof(len(false), f"{'; '.join(false)} (flag above 0 such certificates)")] if false else []
    certified = np.logical_or.reduce([np.zeros_like(standing), *(found.holds for found in proven.values())])
    if certified.any() and (wrong := int((certified & (~standing | _broken_inside(case, asks))).sum())):
        text = f"{wrong} images are proven robust that do not withstand: one of both is wrong (flag above 0)"
        flags.append(_false_proof(wrong, text))
    low = float(certified.mean()) if proven and not flags else None
    named = proofs.reported if proven or flags else proofs.all
    unseen = {
        f"bracket {name}": one_line(str(absent[name]), 300)
        for name in named
        if name in absent and not isinstance(absent[name], Contradicted)
    }
    return Bracketed(Bracket(low, float(standing.mean())), flags, unseen)


def _proven(case: Case, proofs: Proofs) -> tuple[dict[str, Certification], dict[str, NotApplicable]]:
    """The results of certificates by name, and the reasons of those that have none."""
    proven, reasons = {}, {}
    for name, one in proofs.all.items():
        try:
            proven[name] = case.result(one, case.threat)
        except NotApplicable as error:
            reasons[name] = error
    return proven, reasons


def _standing(
    case: Case, asks: Sequence[Ask], reported: NDArray[np.bool_], proven: Sequence[Certification]
) -> NDArray[np.bool_]:
    """The images (N,) of the reported ones that withstand what checks ask for too, and that no certificate refutes."""
    standing = reported
    for _, found in _outcomes(case, ((ask.component, ask.threat) for ask in asks if ask.threat == case.threat)):
        standing = standing & found.robust
    for one in proven:
        # What a certificate refutes is of another class than the label: not always the goal of a targeted attack.
        if one.counterexample is not None and case.threat.goal == "untargeted":
            standing = standing & ~one.counterexample
    return standing


def _broken_inside(case: Case, asks: Sequence[Ask]) -> NDArray[np.bool_]:
    """Where an attack under another threat has found an input of another class that surely lies in the case's ball.

    They are the attacks that checks ask for, and those reported at the other radii.
    """
    others = [*itertools.product(case.attacks.values(), case.radii), *((ask.component, ask.threat) for ask in asks)]
    same_draws = [(one, threat) for one, threat in others if threat and threat.stream == case.threat.stream]
    inside = [_inside(threat, found, case.threat) for threat, found in _outcomes(case, same_draws)]
    return np.logical_or.reduce(inside)


def _inside(threat: Threat, found: Outcome, outer: Threat) -> NDArray[np.bool_]:
    """Where an attack under a threat has found an input of another class that surely lies in the ball of another one.

    It does if its own ball does, or if its distance says so.
    """
    ratio = longest(threat.norm, outer.norm, math.prod(found.inputs.shape[1:]))
    nested = ratio <= 1 and threat.epsilon <= outer.epsilon
    return found.counterexample & (nested | (ratio * found.distance <= outer.epsilon))


def _outcomes(case: Case, asked: Iterable[tuple[Component, Threat | None]]) -> Iterator[tuple[Threat, Outcome]]:
    """The threats and outcomes of the attacks among measurements, as far as they have any."""
    for component, threat in asked:
        if isinstance(component, Attack) and threat is not None:
            with contextlib.suppress(NotApplicable):
                yield threat, case.outcome(component, threat)


def _false_proof(figure: int, text: str) -> Flag:
    return Flag("C1", "false-proof", "refutes", Look(True, figure, 0, text))
