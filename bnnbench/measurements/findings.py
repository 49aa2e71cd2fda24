"""Findings about an outcome: what limits or refutes it as evidence. The marks of tables are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Literal, NamedTuple, Protocol

Severity = Literal["refutes", "note"]
"""`refutes`: the robust accuracy is no evidence of robustness. `note`: it is, but should be read with this in mind."""


class FindingKind(NamedTuple):
    """A kind of finding: its mark in tables, its severity, what it is about, and the meaning of its mark."""

    mark: str
    severity: Severity
    about: Literal["predictive", "attack"]
    meaning: str


ZERO_GRADIENT = FindingKind(
    "!",
    "note",
    "predictive",
    "plain gradient zero at some images; attacks need not use it",
)
ZERO_DIRECTION = FindingKind(
    "#",
    "refutes",
    "attack",
    "the attack's direction was zero at some images: no evidence",
)
UNCHANGED = FindingKind(
    "*",
    "refutes",
    "attack",
    "the attack changed no image that is robust as it is: no evidence",
)
CONSTANT = FindingKind(
    "=",
    "refutes",
    "predictive",
    "one class for all clean images, at one seed or more: no evidence",
)
PROBABILITIES = FindingKind(
    "?",
    "refutes",
    "predictive",
    "logits look like probabilities: if so, attacks on them are weak",
)
KINDS = (ZERO_GRADIENT, ZERO_DIRECTION, UNCHANGED, CONSTANT, PROBABILITIES)
"""The kinds of findings, in the order in which they are listed."""
MEANINGS = {kind.mark: kind.meaning for kind in KINDS}
"""The meaning of each mark."""
OF_PREDICTIVE = "".join(kind.mark for kind in KINDS if kind.about == "predictive")
"""The marks of findings about a predictive, whatever attacks it."""
REFUTING = "".join(kind.mark for kind in KINDS if kind.severity == "refutes")
"""The marks of findings that refute an outcome as evidence."""
OF_ATTACK = "".join(kind.mark for kind in KINDS if kind.about == "attack")
"""The marks of findings about an attack."""


class Judged(Protocol):
    """What findings are made of; an `Outcome` is one."""

    @property
    def zero_gradient(self) -> Any: ...

    @property
    def zero_direction(self) -> Any: ...

    @property
    def like_probabilities(self) -> bool | None: ...

    @property
    def unchanged(self) -> bool: ...

    @property
    def constant(self) -> bool: ...


@dataclass(frozen=True)
class Finding:
    """A finding about one outcome: a plain text, its severity, and its mark in tables."""

    text: str
    severity: Severity
    mark: str

    def __str__(self) -> str:
        return self.text


class Findings(list[Finding]):
    """The findings about an outcome."""

    @classmethod
    def of(cls, texts: dict[FindingKind, str]) -> Findings:
        """The findings with these texts; kinds with an empty text are left out."""
        return cls(Finding(text, kind.severity, kind.mark) for kind, text in texts.items() if text)

    @property
    def refuted(self) -> bool:
        """Whether a finding says that the outcome is no evidence."""
        return any(finding.severity == "refutes" for finding in self)

    @property
    def in_a_line(self) -> str:
        """All findings on one line, each with its severity; empty if there are none."""
        return "; ".join(f"{finding.severity}: {finding.text}" for finding in self)

    def __repr__(self) -> str:
        return "\n".join(f"{finding.severity}: {finding.text}" for finding in self) or "no findings"

    def _repr_html_(self) -> str:
        items = "".join(f"<li><b>{finding.severity}</b>: {escape(finding.text)}</li>" for finding in self)
        return f"<ul>{items}</ul>" if items else "<p>no findings</p>"


def about(outcome: Judged) -> Findings:
    """The findings about an outcome."""
    zero, still = _count(outcome.zero_gradient), _count(outcome.zero_direction)
    return Findings.of(
        {
            ZERO_GRADIENT: f"plain gradient exactly zero at {zero} images" if zero else "",
            ZERO_DIRECTION: f"attack direction exactly zero at {still} images" if still else "",
            UNCHANGED: "the attack changed no image that is robust as it is" if outcome.unchanged else "",
            CONSTANT: _ONE_CLASS if outcome.constant else "",
            PROBABILITIES: _LIKE_PROBABILITIES if outcome.like_probabilities else "",
        }
    )


def of_constant(constant: bool) -> Findings:
    """The findings about a predictive of which it is known alone whether it gives all clean images one class."""
    return Findings.of({CONSTANT: _ONE_CLASS if constant else ""})


def _count(flags: Any) -> int:
    """The number of flags (N,) that are set; 0 if there are none."""
    return 0 if flags is None else int(flags.sum())


_ONE_CLASS = "every clean image is given one and the same class"
_LIKE_PROBABILITIES = "the logits look like probabilities: they are not negative, and sum to one at every image"
