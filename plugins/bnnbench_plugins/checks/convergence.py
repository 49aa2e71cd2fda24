"""A4: twice the effort moves the robust accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from bnnbench import Ask, Attack, Case, Look, NotApplicable, ParameterError
from bnnbench_plugins.checks.comparing import FindsMore, withstood


class Convergence(FindsMore):
    """The reported attacks, with twice their effort, break images that withstand all of them (Carlini et al. 2019).

    Each attack is run with twice its steps or queries (`Attack.stronger`), and once more with twice its `restarts`, or
    those of an attack that it holds. More steps do not leave a bad maximum, and another start may. Attacks without such
    a parameter are left out.
    """

    flag: ClassVar[str] = "A4"

    def asks(self, case: Case) -> Sequence[Ask]:
        return [Ask(stronger, case.threat) for stronger in self._stronger(case.attacks.values())]

    def look(self, case: Case) -> Look:
        stronger = self._stronger(case.attacks[label] for label in case.reported)
        if not stronger:
            raise NotApplicable("no reported attack has a parameter for its effort")
        words = "twice the steps, queries or restarts of the same attacks"
        return self.more(withstood(case, stronger), case.standing(), words, "report more steps and restarts")

    @staticmethod
    def _stronger(attacks: Iterable[Attack]) -> list[Attack]:
        return [other for one in attacks for other in (one.stronger(), _restarted(one)) if other is not None]


def _restarted(attack: Attack) -> Attack | None:
    """The attack with twice its restarts, or those of attacks that it holds; None if these cannot be raised."""
    changed: dict[str, Any] = {}
    for name in type(attack).model_fields:
        value = getattr(attack, name)
        if name == "restarts" and isinstance(value, int):
            changed[name] = 2 * value
        elif isinstance(value, Attack) and (inner := _restarted(value)) is not None:
            changed[name] = inner
    try:
        return attack.model_copy(update=changed) if changed else None
    except ParameterError:  # All runs are the same without a random start, for example.
        return None
