"""What the arguments of `bnnbench.audit` may be, in the form of the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bnnbench.core import arguments
from bnnbench.core.attack import Attack
from bnnbench.core.named_components import registered_name
from bnnbench.evidence.audit.check import Check
from bnnbench.plugins.described import described
from bnnbench.plugins.installed import registry

ATTACKS = ("fgsm", "pgd", "standard")
"""The attacks whose numbers are audited by default."""


def attacks_of(given: Any) -> dict[str, Attack]:
    """The reported attacks by label, from what the argument `attacks` may be."""
    if given is None:
        given = ATTACKS
    if isinstance(given, str | Attack):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"attacks are attacks and their registered names, such as ['pgd'], not {described(given)}")
    if not isinstance(given, Mapping):
        given = _labelled(list(given))
    if not given:
        raise ValueError("attacks is empty: name the attacks whose number is audited, such as ['pgd'], or leave it out")
    return {str(label): _as_attack(one) for label, one in given.items()}


def _labelled(attacks: Sequence[Any]) -> dict[str, Any]:
    """The attacks of a list by label: the registered name or the class, and the place if another has the same."""
    names = [
        one if isinstance(one, str) else registered_name(one) if isinstance(one, Attack) else "" for one in attacks
    ]
    return {
        name if names.count(name) == 1 else f"{name} {place}": one
        for place, (name, one) in enumerate(zip(names, attacks, strict=True))
    }


def _as_attack(given: Any) -> Attack:
    if isinstance(given, str):
        return registry().create("attack", given, {})
    meant = "an attack or its registered name, such as 'pgd'"
    return arguments.instance_of(given, Attack, argument="each of attacks", meant=meant)


def checks_of(given: Any) -> dict[str, Check]:
    """The checks by name, from what the argument `checks` may be. Raises `ValueError` for two of one class."""
    listed = [given] if isinstance(given, Check) or not isinstance(given, Iterable) else list(given)
    meant, found = "a check, such as bnnbench.check('noise', tries=10)", {}
    for one in listed:
        check = arguments.instance_of(one, Check, argument="each of checks", meant=meant)
        name = registered_name(check)
        if name in found:
            raise ValueError(f"checks have two of '{name}'")
        found[name] = check
    return found
