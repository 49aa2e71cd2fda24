"""The base class of checks: what the audit looks for, and what further measurements it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bnnbench.core.component import Component
from bnnbench.core.threat import Threat
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import BnnbenchError, PluginError
from bnnbench.evidence.audit.case import Case
from bnnbench.measurements.findings import Severity


@dataclass(frozen=True)
class Ask:
    """A measurement that a check asks for: an attack, certificate or measure, and its threat; None for measures."""

    component: Component
    threat: Threat | None


@dataclass(frozen=True)
class Look:
    """What a check has seen in one case.

    Attributes:
        fired: whether the flag is raised.
        figure: the number that decides, in the unit that `text` names.
        threshold: the number with which it is compared.
        text: one line that states figure and threshold in words.
        remedy: one line: what to run to settle it.
    """

    fired: bool
    figure: float
    threshold: float
    text: str
    remedy: str = ""


class Check(Component):
    """A check of the audit. Its fields are its thresholds; an author writes `look`, and `asks` if it needs more.

    Raises `PluginError` while a subclass that looks is defined if it has no `flag`.
    """

    kind: ClassVar[str] = "check"
    flag: ClassVar[str] = ""
    """The short name of the flag in tables, such as `A1`."""
    severity: ClassVar[Severity] = "refutes"
    """`refutes`: a number with this flag is no evidence of robustness. `note`: it is, but should be read with it."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        is_base = cls.look is Check.look  # Of other checks: it looks at nothing itself.
        if not is_base and (not isinstance(cls.flag, str) or not cls.flag.strip()):
            problem = "is empty" if cls.flag == "" else f"is {cls.flag!r}"
            raise PluginError(
                f"{name_in_messages(cls)}: 'flag' {problem}: give it the code that tables show, such as 'M1'"
            )

    def asks(self, case: Case) -> Sequence[Ask]:
        """The measurements that `look` needs beside those of the reported attacks; none by default.

        It is called before anything is measured, so it must not ask the case for results. They are planned, priced and
        kept as cells are. A check that asks for none costs nothing.
        """
        return ()

    def look(self, case: Case) -> Look:
        """What the check sees in a case: one predictive under one threat.

        Raises `NotApplicable`, with the reason, if there is nothing to look at.
        """
        raise NotImplementedError

    def explains(self, error: BnnbenchError) -> Look | None:
        """What the check makes of the error for which a predictive was refused; None (the default) for nothing."""
        return None
