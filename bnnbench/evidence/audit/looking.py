"""Let the checks look at a case, and make the audit of what they have seen."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from bnnbench.core.certificate import Certificate
from bnnbench.core.component import Component
from bnnbench.core.threat import Threat
from bnnbench.errors import NotApplicable, message_of, one_line
from bnnbench.evidence.audit.audit import Audit, Flag
from bnnbench.evidence.audit.bracket import Proofs, bracketed
from bnnbench.evidence.audit.case import Case
from bnnbench.evidence.audit.check import Ask, Check, Look
from bnnbench.evidence.audit.no_evidence import no_evidence
from bnnbench.plugins.installed import registry
from bnnbench.plugins.kinds import KIND
from bnnbench.plugins.signals import contained

Checks = Mapping[str, Check]
"""Checks by name, in the order in which their flags are listed."""


def installed_checks(chosen: Mapping[str, Check] | None = None) -> dict[str, Check]:
    """Every installed check with its default thresholds, except those of which `chosen` has one of the same class."""
    chosen = dict(chosen or {})
    classes = {type(check) for check in chosen.values()}
    found = {name: registry().create("check", name, {}) for name in registry().choices("check")}
    left = {name: check for name, check in found.items() if type(check) not in classes}
    # A label may be the name of another check, which looks too.
    left = {f"bnnbench:{name}" if name in chosen else name: check for name, check in left.items()}
    return dict(sorted({**left, **chosen}.items(), key=lambda item: place_of(item[1].flag)))


def place_of(flag: str) -> tuple[str, int, str]:
    """The place of a flag among others: by its letters, then by its number."""
    letters = flag.rstrip("0123456789")
    return letters, int(flag[len(letters) :] or 0), flag


def asked(case: Case, checks: Checks, certificates: Sequence[Certificate] = ()) -> list[Ask]:
    """Every measurement that checks ask for in a case, and the certificates of its bracket, each once."""
    return [ask for ask, _ in asked_by(case, checks, certificates)]


def asked_by(case: Case, checks: Checks, certificates: Sequence[Certificate] = ()) -> list[tuple[Ask, str]]:
    """What `asked` gives, each with the name of the check that asks first, or `bracket` for its certificates."""
    asks = [(Ask(certificate, case.threat), "bracket") for certificate in certificates]
    for name, check in checks.items():
        with contextlib.suppress(NotApplicable):  # The audit tells of it.
            asks += [(ask, name) for ask in asks_of(check, case)]
    found: dict[tuple[str, Threat | None], tuple[Ask, str]] = {}
    for ask, name in asks:
        found.setdefault((identity_of(ask.component), ask.threat), (ask, name))
    return list(found.values())


def asks_of(check: Check, case: Case) -> list[Ask]:
    """What a check asks for. Raises `NotApplicable` for an error of its code."""
    try:
        with contained():
            asks = list(check.asks(case))
    except Exception as error:
        raise NotApplicable(f"the check failed: {message_of(error)}") from error
    for ask in asks:
        component = ask.component if isinstance(ask, Ask) else None
        if not isinstance(component, Component) or not KIND[component.kind].measurement:
            raise NotApplicable("the check failed: it asks for something else than attacks, certificates and measures")
        if (ask.threat is not None) != KIND[component.kind].needs_threat:
            raise NotApplicable("the check failed: attacks and certificates need a threat, and measures have none")
    return asks


def identity_of(component: Component) -> str:
    """A text that two components share only if they give the same results."""
    import json

    return json.dumps([component.kind, component.identity()], sort_keys=True)


def audit_of(
    case: Case, checks: Checks, proofs: Proofs | None = None, labels: Mapping[str, Any] | None = None
) -> Audit:
    """The audit of a case. `proofs` are those of its bracket; `labels` are the fields that say what it is about."""
    labels = dict(labels or {})
    try:
        reported = case.standing()
    except NotApplicable as error:
        return Audit(case.threat, [], missing=case.missing, refusal=str(error), **labels)
    looked, unseen = no_evidence(case.reported), {}
    for name, check in checks.items():
        try:
            asks_of(check, case)
            looked.append(Flag(check.flag, name, check.severity, _looked(check, case)))
        except NotApplicable as error:
            unseen[f"{check.flag} {name}"] = one_line(str(error), 300)
    bracket, contradictions, unproven = bracketed(case, proofs or Proofs(), asked(case, checks), reported)
    return Audit(
        case.threat,
        [*looked, *contradictions],
        {**unseen, **unproven},
        bracket=bracket,
        images=len(reported),
        reported=float(reported.mean()),
        attacks=tuple(case.reported),
        missing=case.missing,
        **labels,
    )


def _looked(check: Check, case: Case) -> Look:
    """What a check sees. Raises `NotApplicable` as it does, and for an error of its code."""
    try:
        with contained():
            look = check.look(case)
    except NotApplicable:
        raise
    except Exception as error:
        raise NotApplicable(f"the check failed: {message_of(error)}") from error
    if isinstance(look, Look):
        try:
            return Look(bool(look.fired), float(look.figure), float(look.threshold), str(look.text), str(look.remedy))
        except (TypeError, ValueError) as error:
            raise NotApplicable(f"the check failed: its figure or threshold is no number: {error}") from error
    raise NotApplicable(f"the check failed: it gave {type(look).__name__}, not a Look")
