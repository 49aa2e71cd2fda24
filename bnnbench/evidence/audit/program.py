"""Audit a predictive from a program, without a benchmarks file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from bnnbench.core import arguments
from bnnbench.core.attack import Attack
from bnnbench.core.component import Component
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Progress
from bnnbench.core.given import is_several
from bnnbench.core.progress_bar import shown_progress
from bnnbench.core.threat import Threat
from bnnbench.errors import AccessRefused, BnnbenchError, Incompatible, NetworkError, NotApplicable, QueriesSpent
from bnnbench.evidence.audit.audit import Audit, Audits, Flag
from bnnbench.evidence.audit.case import Case
from bnnbench.evidence.audit.check import Check, Look
from bnnbench.evidence.audit.looking import asked, audit_of, bracketing, identity_of, installed_checks
from bnnbench.measurements.asked import Asked, Radius, asked_of
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import measurement_of
from bnnbench.plugins.described import described
from bnnbench.plugins.installed import registry
from bnnbench.plugins.signals import contained

ATTACKS = ("fgsm", "pgd", "standard")
"""The attacks whose numbers are audited by default."""
_SKIPPED = (Incompatible, AccessRefused, QueriesSpent)
"""Errors that say that a component does not fit a threat or a predictive."""


@overload
def audit(
    predictive: Any,
    data: Data,
    *,
    epsilon: Radius | None = None,
    threat: Threat | None = None,
    images: int = 500,
    draws: int | None = None,
    attacks: Any = None,
    checks: Sequence[Check] = (),
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Audit: ...


@overload
def audit(
    predictive: Any,
    data: Data,
    *,
    epsilon: Sequence[Radius] | None = None,
    threat: Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    attacks: Any = None,
    checks: Sequence[Check] = (),
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Audits: ...


@arguments.told_names
def audit(
    predictive: Any,
    data: Data,
    *,
    epsilon: Radius | Sequence[Radius] | None = None,
    threat: Threat | Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    attacks: Any = None,
    checks: Check | Sequence[Check] = (),
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Audit | Audits:
    """The audit of the robust accuracy of a predictive under one threat, or a list of audits under several.

    All installed checks look at the outcomes of the reported attacks, and of the further measurements that they ask
    for. The `crown` certificate bounds the truth from below, where it can treat the network.

    Args:
        predictive: a predictive, or a model of which `bnnbench.predictive` makes one, such as a torch module.
        data: the data. Only the test sample is used.
        epsilon: the radius of an l-infinity ball in the data's units. Exactly one of `epsilon` and `threat` is given. A
            list gives a list of audits.
        threat: the threat model, or a list of threat models that differ in norm and epsilon alone.
        attacks: the attacks whose numbers are reported: a list of attacks or registered names, or a mapping from
            labels to these. By default `fgsm`, `pgd` and `standard`.
        checks: checks with thresholds other than their defaults; each replaces the installed one of its class.
        images, draws, seed, allow_whole_box, progress: as for `evaluate`.

    Returns an `Audit` with `verdict` (`UNTRUSTWORTHY` or `NOT REFUTED`), `flags` and `bracket`. Raises as `evaluate`
    does, unless a check explains the error.
    """
    reported = _attacks(attacks)
    chosen = installed_checks(_checks(checks))
    several = is_several(epsilon if threat is None else threat)
    try:
        asked_for = asked_of(
            "audit",
            predictive,
            data,
            epsilon=epsilon,
            threat=threat,
            images=images,
            draws=draws,
            seed=seed,
            allow_whole_box=allow_whole_box,
        )
    except NetworkError as error:
        explained = _explained(chosen, error)
        if not explained:
            raise
        # The threat may be wrong too; the network is refused first.
        audits = [Audit(one, explained, refusal=str(error)) for one in _threats_of(epsilon, threat)]
        return Audits(audits) if several else audits[0]
    with shown_progress(progress, "audit") as report:
        audits = _audits(asked_for, data, reported, chosen, report)
    return Audits(audits) if asked_for.several else audits[0]


def _audits(
    asked_for: Asked, data: Data, reported: Mapping[str, Attack], checks: Mapping[str, Check], report: Progress
) -> list[Audit]:
    """The audits under each threat, from measurements that are made when a check first asks for them."""
    certificates = bracketing()
    laboratory = _Laboratory(asked_for.defence, data)
    cases = [
        Case(threat, reported, laboratory.result, radii=asked_for.threats, box=data.bounds)
        for threat in asked_for.threats
    ]
    planned = {
        (identity_of(component), threat)
        for case in cases
        for component, threat in [
            *((attack, case.threat) for attack in reported.values()),
            *((ask.component, ask.threat) for ask in asked(case, checks, certificates)),
        ]
    }
    laboratory.tell = lambda done, name: report(done, len(planned), name)
    return [audit_of(case, checks, certificates) for case in cases]


class _Laboratory:
    """Measures one defence, each component under each threat once."""

    def __init__(self, defence: Defence, data: Data) -> None:
        self._defence, self._data = defence, data
        self._results: dict[tuple[str, Threat | None], Any] = {}
        self.tell: Callable[[int, str], None] = lambda done, name: None

    def result(self, component: Component, threat: Threat | None) -> Any:
        """The result of a component under a threat. Raises `NotApplicable` if the component cannot be applied."""
        key = (identity_of(component), threat)
        if key not in self._results:
            self.tell(len(self._results), type(component).__name__)
            try:
                self._results[key] = self._measured(component, threat)
            except _SKIPPED as error:
                self._results[key] = NotApplicable(str(error))
        found = self._results[key]
        if isinstance(found, NotApplicable):
            raise found
        return found

    def _measured(self, component: Component, threat: Threat | None) -> Any:
        threats = [] if threat is None else [threat]
        return measurement_of(component).run(self._defence_under(threat), threats, "few")[0]

    def _defence_under(self, threat: Threat | None) -> Defence:
        """The defence under a threat: another one if the threat has other draws. Measures are about all draws."""
        defence = self._defence
        threat = threat or replace(defence.threat, stream="fixed", attack_draws=None)
        if threat.differs_in_radius_alone(defence.threat):
            return defence
        images = len(defence.sample.y)
        return Defence(defence.predictive, self._data, threat, images=images, draws=defence.limit, seed=defence.seed)


def _explained(checks: Mapping[str, Check], error: BnnbenchError) -> list[Flag]:
    """The flags of checks that explain an error."""
    found = []
    for name, check in checks.items():
        look = None
        with contextlib.suppress(Exception), contained():  # A check that fails explains nothing.
            look = check.explains(error)
        if isinstance(look, Look):
            found.append(Flag(check.flag, name, check.severity, look))
    return found


def _threats_of(epsilon: Any, threat: Any) -> list[Threat]:
    given = epsilon if threat is None else threat
    each = list(given) if is_several(given) else [given]
    return [one if isinstance(one, Threat) else Threat(epsilon=one) for one in each]


def _attacks(given: Any) -> dict[str, Attack]:
    """The reported attacks by label, from what the argument `attacks` may be."""
    if given is None:
        given = ATTACKS
    if isinstance(given, str | Attack):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"attacks are attacks and their registered names, such as ['pgd'], not {described(given)}")
    if not isinstance(given, Mapping):
        given = {_label(one, place): one for place, one in enumerate(given)}
    return {str(label): _as_attack(one) for label, one in given.items()}


def _label(attack: Any, place: int) -> str:
    """The label of an attack of a list: its registered name, or its class with its place."""
    return attack if isinstance(attack, str) else f"{type(attack).__name__} {place}"


def _as_attack(given: Any) -> Attack:
    if isinstance(given, str):
        return registry().create("attack", given, {})
    meant = "an attack or its registered name, such as 'pgd'"
    return arguments.instance_of(given, Attack, argument="each of attacks", meant=meant)


def _checks(given: Any) -> dict[str, Check]:
    """The checks by name, from what the argument `checks` may be. Raises `ValueError` for two of one class."""
    listed = [given] if isinstance(given, Check) or not isinstance(given, Iterable) else list(given)
    meant, found = "a check, such as bnnbench.check('noise', tries=10)", {}
    for one in listed:
        check = arguments.instance_of(one, Check, argument="each of checks", meant=meant)
        recipe = registry().recipe("check", check)
        name = recipe["use"].rpartition(":")[2] if recipe else type(check).__name__
        if name in found:
            raise ValueError(f"checks have two of '{name}'")
        found[name] = check
    return found
