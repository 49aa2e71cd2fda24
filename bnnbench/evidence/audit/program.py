"""Audit a predictive from a program, without a benchmarks file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
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
from bnnbench.errors import (
    AccessRefused,
    BnnbenchError,
    ContractBreach,
    Incompatible,
    NetworkError,
    NotApplicable,
    QueriesSpent,
    message_of,
)
from bnnbench.evidence.audit.audit import Audit, Audits, Flag
from bnnbench.evidence.audit.bracket import Proofs
from bnnbench.evidence.audit.case import Case
from bnnbench.evidence.audit.check import Check, Look
from bnnbench.evidence.audit.given import attacks_of, checks_of
from bnnbench.evidence.audit.looking import asked, audit_of, identity_of, installed_checks
from bnnbench.measurements.asked import Asked, Radius, asked_of, threats_of
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import measurement_of
from bnnbench.plugins.signals import contained

_SKIPPED = (Incompatible, AccessRefused, QueriesSpent)
"""Errors that say that a component does not fit a threat or a predictive."""


class _Failed(NotApplicable):
    """A component has no result, since it broke a rule or failed with `error`."""

    def __init__(self, error: Exception) -> None:
        status = "invalid" if isinstance(error, ContractBreach) else "failed"
        super().__init__(f"{status}: {message_of(error)}")
        self.error = error


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
        data: the data. Attacks and checks see test images alone. The training sample is used by attacks that fit a
            surrogate of their own, such as `transfer` with the source `posterior`.
        epsilon: the radius of an l-infinity ball in the data's units. Exactly one of `epsilon` and `threat` is given. A
            list gives a list of audits.
        threat: the threat model, or a list of threat models that differ in norm and epsilon alone.
        attacks: the attacks whose numbers are reported: a list of attacks or registered names, or a mapping from
            labels to these. By default `fgsm`, `pgd` and `standard`.
        checks: checks with thresholds other than their defaults; each replaces the installed one of its class.
        images, draws, seed, allow_whole_box, progress: as for `evaluate`.

    Returns an `Audit` with `verdict` (`UNTRUSTWORTHY` or `NOT REFUTED`), `flags` and `bracket`. An attack that breaks a
    rule or fails is not in the number; `missing` has the reason. Raises as `evaluate` does for a fault of the
    predictive, unless a check explains it, and where no attack has an outcome under any threat and one failed.
    """
    reported = attacks_of(attacks)
    chosen = installed_checks(checks_of(checks))
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
        audits = [Audit(one, explained, refusal=str(error)) for one in threats_of(epsilon, threat)]
        return Audits(audits) if several else audits[0]
    with shown_progress(progress, "audit") as report:
        audits = _audits(asked_for, data, reported, chosen, report)
    return Audits(audits) if asked_for.several else audits[0]


def _audits(
    asked_for: Asked, data: Data, reported: Mapping[str, Attack], checks: Mapping[str, Check], report: Progress
) -> list[Audit]:
    """The audits under each threat, from measurements that are made when a check first asks for them."""
    proofs = Proofs.beside({})
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
            *((ask.component, ask.threat) for ask in asked(case, checks, list(proofs.run.values()))),
        ]
    }
    laboratory.tell = lambda done, name: report(done, len(planned), name)
    _raise_if_none_is_left(cases)
    return [audit_of(case, checks, proofs) for case in cases]


def _raise_if_none_is_left(cases: Sequence[Case]) -> None:
    """Raise the error of the first reported attack that failed, if no reported attack has an outcome in any case."""
    failed = []
    for case in cases:
        for attack in case.attacks.values():
            try:
                case.outcome(attack)
            except _Failed as error:
                failed.append(error.error)
            except NotApplicable:
                continue
            else:
                return
    if failed:
        raise failed[0]


class _Laboratory:
    """Measures one defence, each component under each threat once."""

    def __init__(self, defence: Defence, data: Data) -> None:
        self._defence, self._data = defence, data
        self._results: dict[tuple[str, Threat | None], Any] = {}
        self._defences = {_apart_from_radius(defence.threat): defence}
        self.tell: Callable[[int, str], None] = lambda done, name: None

    def result(self, component: Component, threat: Threat | None) -> Any:
        """The result of a component under a threat. Raises `NotApplicable` if it has none, with the reason."""
        key = (identity_of(component), threat)
        if key not in self._results:
            self.tell(len(self._results), type(component).__name__)
            self._results[key] = self._measured(component, threat)
        found = self._results[key]
        if isinstance(found, NotApplicable):
            raise found
        return found

    def _measured(self, component: Component, threat: Threat | None) -> Any:
        """The result of a component under a threat; a `NotApplicable` that says why there is none."""
        threats = [] if threat is None else [threat]
        try:
            with contained():
                return measurement_of(component).run(self._defence_under(threat), threats, "few")[0]
        except _SKIPPED as error:
            return NotApplicable(str(error))
        except Exception as error:  # noqa: BLE001 - an attack may be the user's own
            return _Failed(error)

    def _defence_under(self, threat: Threat | None) -> Defence:
        """The defence under a threat, one for all threats that differ in norm and epsilon alone.

        Measures are about all draws.
        """
        given = self._defence
        threat = threat or replace(given.threat, stream="fixed", attack_draws=None)
        place = _apart_from_radius(threat)
        if place not in self._defences:
            self._defences[place] = Defence(
                given.predictive, self._data, threat, images=len(given.sample.y), draws=given.limit, seed=given.seed
            )
        return self._defences[place]


def _apart_from_radius(threat: Threat) -> Threat:
    """The same threat for all that differ in norm and epsilon alone."""
    return replace(threat, norm="linf", epsilon=0.0)


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
