"""The bracket: what certificates prove, what withstands every attack, and where the two contradict each other."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.attack import Attack
from bnnbench.core.certificate import Certificate
from bnnbench.core.threat import Threat
from bnnbench.errors import NotApplicable, one_line
from bnnbench.evidence.audit.audit import Bracket, Flag
from bnnbench.evidence.audit.case import Case, Contradicted
from bnnbench.evidence.audit.check import Ask, Look
from bnnbench.evidence.false_proofs import longest
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from bnnbench.plugins.described import counted
from bnnbench.plugins.installed import registry

CERTIFICATES = ("crown",)
"""The names of the bundled certificates by which every audit bounds the truth from below."""


@dataclass(frozen=True)
class Proofs:
    """The certificates of a bracket by name: those of the report, and the default ones that are run beside them.

    `left_out` are others of the file: they count if the store has their results, and are never run.
    """

    reported: Mapping[str, Certificate] = field(default_factory=dict)
    default: Mapping[str, Certificate] = field(default_factory=dict)
    left_out: Mapping[str, Certificate] = field(default_factory=dict)

    @classmethod
    def beside(cls, reported: Mapping[str, Certificate], left_out: Mapping[str, Certificate] | None = None) -> Self:
        """The certificates of a report, those left out, and default ones of other classes, as far as installed."""
        known, classes = registry().names("certificate"), {type(one) for one in reported.values()}
        made = {name: registry().create("certificate", name, {}) for name in CERTIFICATES if name in known}
        default = {name: one for name, one in made.items() if type(one) not in classes}
        run = [*reported.values(), *default.values()]
        left = {name: one for name, one in (left_out or {}).items() if one not in run}
        # A label may be the name of a default certificate.
        labels = {*reported, *left}
        return cls(
            reported, {f"bnnbench:{name}" if name in labels else name: one for name, one in default.items()}, left
        )

    @property
    def run(self) -> dict[str, Certificate]:
        """Those that an audit runs, those of the report first."""
        return {**self.reported, **self.default}

    @property
    def all(self) -> dict[str, Certificate]:
        """All of them, those of the report first."""
        return {**self.run, **self.left_out}


class Bracketed(NamedTuple):
    """A bracket, the flags that say that a proof is wrong, and the certificates without a result, with the reasons."""

    bracket: Bracket
    flags: list[Flag]
    unseen: dict[str, str]


def bracketed(case: Case, proofs: Proofs, asks: Sequence[Ask], reported: NDArray[np.bool_]) -> Bracketed:
    """The bracket of a case: what certificates prove, and what withstands every attack that is known.

    `asks` are what checks ask for, and `reported` (N,) says which images withstand all reported attacks. If another
    result contradicts a proof, a flag says so, and the bracket has no lower end. A default certificate without a result
    is named only where nothing else is proven.
    """
    proven, absent = _proven(case, proofs)
    attacks = _outcomes(case, asks)
    standing = _standing(case, attacks, reported, list(proven.values()))
    false = [str(reason) for reason in absent.values() if isinstance(reason, Contradicted)]
    false += _contradicted(proven, ~standing | _misclassified(case, attacks))
    flags = [_false_proofs(false)] if false else []
    certified = np.logical_or.reduce([np.zeros_like(standing), *(found.holds for found in proven.values())])
    low = float(certified.mean()) if proven and not flags else None
    named = proofs.reported if proven or flags else proofs.run
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


def _outcomes(case: Case, asks: Sequence[Ask]) -> list[tuple[Threat, Outcome]]:
    """The threats and outcomes of attacks, as far as they have any, on the draws that defend in the case.

    They are the attacks that checks ask for, and those reported at all radii of all norms.
    """
    reported = itertools.product([*case.attacks.values(), *case.others], case.nearby)
    asked = [*reported, *((ask.component, ask.threat) for ask in asks)]
    found = []
    for component, threat in asked:
        if isinstance(component, Attack) and threat is not None and threat.stream == case.threat.stream:
            with contextlib.suppress(NotApplicable):
                found.append((threat, case.outcome(component, threat)))
    return found


def _standing(
    case: Case,
    attacks: Sequence[tuple[Threat, Outcome]],
    reported: NDArray[np.bool_],
    proven: Sequence[Certification],
) -> NDArray[np.bool_]:
    """The images (N,) of the reported ones that no attack of the threat breaks at any radius by an input in the ball.

    Those that a certificate refutes are not among them.
    """
    standing = reported
    for threat, found in attacks:
        # Another goal is another question, and another access would be another attacker.
        if threat.differs_in_radius_alone(case.threat):
            standing = standing & (found.robust | ~_inside(threat, found, case.threat))
    for one in proven:
        # What a certificate refutes is of another class than the label: not always the goal of a targeted attack.
        if one.counterexample is not None and case.threat.goal == "untargeted":
            standing = standing & ~one.counterexample
    return standing


def _misclassified(case: Case, attacks: Sequence[tuple[Threat, Outcome]]) -> NDArray[np.bool_]:
    """Where an attack, whatever its threat, has found an input of another class in the case's ball, (N,)."""
    found = [outcome.counterexample & _inside(threat, outcome, case.threat) for threat, outcome in attacks]
    return np.logical_or.reduce(found)


def _inside(threat: Threat, found: Outcome, outer: Threat) -> NDArray[np.bool_]:
    """Whether each input that an attack under a threat has found surely lies in the ball of another threat, (N,).

    It does if its own ball does, or if its distance says so.
    """
    ratio = longest(threat.norm, outer.norm, math.prod(found.inputs.shape[1:]))
    nested = ratio <= 1 and threat.epsilon <= outer.epsilon
    return np.asarray(nested | (ratio * found.distance <= outer.epsilon))


def _contradicted(proven: Mapping[str, Certification], broken: NDArray[np.bool_]) -> list[str]:
    """A text for each certificate that certifies some of the broken images (N,)."""
    counts = {name: int((found.holds & broken).sum()) for name, found in proven.items()}
    return [
        f"certificate '{name}' certifies {counted(images, 'image')} that another result breaks in its ball: one of "
        "both is wrong"
        for name, images in counts.items()
        if images
    ]


def _false_proofs(texts: Sequence[str]) -> Flag:
    """The flag about certificates that another result contradicts, with a text for each."""
    text = f"{'; '.join(texts)} (flag above 0 such certificates)"
    return Flag("C1", "false-proof", "refutes", Look(True, len(texts), 0, text))
