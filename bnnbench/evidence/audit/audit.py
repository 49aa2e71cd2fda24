"""The result of an audit: its verdict, the flags behind it, and the bracket around the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from bnnbench.core.radius import short_radius
from bnnbench.core.threat import Threat
from bnnbench.errors import one_line
from bnnbench.evidence.audit.check import Look
from bnnbench.measurements.findings import Severity
from bnnbench.plugins.described import counted

UNTRUSTWORTHY, NOT_REFUTED, NO_NUMBER = "UNTRUSTWORTHY", "NOT REFUTED", "NO NUMBER"
"""The verdicts. No verdict says that a network is robust."""


@dataclass(frozen=True)
class Flag:
    """What one check has seen: its short name and name, its severity, and the look."""

    code: str
    name: str
    severity: Severity
    look: Look

    @property
    def text(self) -> str:
        """One line with the figure and the threshold."""
        return one_line(str(self.look.text), 500)

    @property
    def remedy(self) -> str:
        """One line: what to run to settle it; empty if nothing is to be done."""
        return one_line(str(self.look.remedy), 300)

    def __str__(self) -> str:
        return "; ".join(filter(None, [f"{self.code} {self.name}: {self.text}", self.remedy]))


@dataclass(frozen=True)
class Bracket:
    """What is known about the share of images at which no attack of the threat can succeed, in [0, 1].

    `low` is the share that a certificate proves; None without one. `high` is the share that withstands every attack
    that was run, at another radius or in another norm too as far as what it found lies in the ball. The truth about
    these images lies between.
    """

    low: float | None
    high: float

    def __str__(self) -> str:
        low = "?" if self.low is None else f"{100 * self.low:.1f}"
        return f"{low} to {100 * self.high:.1f}%"

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter((0.0 if self.low is None else self.low, self.high))


@dataclass(frozen=True, repr=False)
class Audit:
    """The audit of the number that is reported for one predictive under one threat.

    Attributes:
        threat: the threat.
        looked: what each check has seen, in the order of the checks.
        unseen: the checks that had nothing to look at, by short name, with the reason.
        bracket: the bounds on the true share of robust images; None if there is no number.
        images: the number of images.
        reported: the share of images that withstand all reported attacks, in [0, 1]; None if there is none. Under the
            goal `untargeted` it is the robust accuracy in the worst case. The goal of the threat says which images
            withstand.
        attacks: the labels of the reported attacks in the number.
        missing: the labels of the reported attacks that are not in the number, with the reasons.
        refusal: why there is no number; empty if there is one.
        dataset, network, posterior, radius, seed: what the audit is about, as its benchmarks file calls it; empty in a
            program.
    """

    threat: Threat
    looked: list[Flag]
    unseen: dict[str, str] = field(default_factory=dict)
    bracket: Bracket | None = None
    images: int = 0
    reported: float | None = None
    attacks: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    refusal: str = ""
    dataset: str = ""
    network: str = ""
    posterior: str = ""
    radius: str = ""
    seed: int = 0

    @property
    def flags(self) -> list[Flag]:
        """The flags that are raised: those that refute first, then notes."""
        fired = [flag for flag in self.looked if flag.look.fired]
        return sorted(fired, key=lambda flag: flag.severity != "refutes")

    @property
    def refuting(self) -> list[Flag]:
        """The flags that are raised and refute the number."""
        return [flag for flag in self.flags if flag.severity == "refutes"]

    @property
    def verdict(self) -> str:
        """`UNTRUSTWORTHY` if a flag refutes the number, `NOT REFUTED` if none does, and `NO NUMBER` without one."""
        if self.refuting:
            return UNTRUSTWORTHY
        return NO_NUMBER if self.reported is None else NOT_REFUTED

    @property
    def headline(self) -> str:
        """The verdict with the short names of its flags, on one line."""
        codes = ", ".join(dict.fromkeys(flag.code for flag in self.refuting))
        return f"{self.verdict} ({codes})" if codes else self.verdict

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, *, seeds: bool = False) -> list[str]:
        """The audit as text: the verdict and the bracket, then a line for each flag, and what was not looked at.

        The seed is named if `seeds`.
        """
        radius = f"{self.threat.norm} {self.radius or short_radius(self.threat.epsilon)}"
        about = " ".join(filter(None, [self.dataset, self.network, self.posterior, radius]))
        told = [f"{about}{f' (seed {self.seed})' if seeds else ''}: {self.headline}"]
        if self.terms:
            told.append(f"  threat: {self.terms}")
        told += [f"  {line}" for line in self.left_out()]
        if self.reported is not None:
            of = f" ({', '.join(self.attacks)})" if self.attacks else ""
            told.append(f"  reported {100 * self.reported:.1f}%{of}, truth within {self.bracket}, {self.images} images")
        told += [f"  {flag.severity}: {flag}" for flag in self.flags]
        if self.quiet:
            told.append(f"  not raised: {', '.join(self.quiet)}")
        told += [f"  not looked at: {code}: {reason}" for code, reason in self.unseen.items()]
        return told

    def left_out(self) -> list[str]:
        """Why there is no number, or which reported attacks are not in it: a line for each reason."""
        labels: dict[str, list[str]] = {}
        for label, reason in self.missing.items():
            labels.setdefault(reason, []).append(label)
        if not labels:
            # A check that explains a refusal tells it whole.
            told = any(flag.text == one_line(self.refusal, 500) for flag in self.flags)
            return [] if told or not self.refusal else [self.refusal]
        start = "no number" if self.reported is None else "not in the number"
        return [f"{start}: {', '.join(of)}: {reason}" for reason, of in labels.items()]

    @property
    def quiet(self) -> list[str]:
        """The short names of the flags of which no check is raised although one has looked, each once."""
        raised = {flag.code for flag in self.flags}
        return list(dict.fromkeys(flag.code for flag in self.looked if flag.code not in raised))

    @property
    def terms(self) -> str:
        """What the threat is beside its ball, as far as it differs from the defaults; empty if it does not."""
        threat = self.threat
        counted_are = f"goal {threat.goal_text}: counted are {threat.aim.withstood}"
        words = [
            "" if threat.access == "gradient" else f"access {threat.access}",
            "" if threat.queries is None else f"at most {threat.queries} queries per image",
            "" if threat.stream == "fixed" else f"stream {threat.stream}",
            "" if threat.attack_draws is None else f"the attacker sees {counted(threat.attack_draws, 'draw')}",
            "" if threat.goal == "untargeted" else counted_are,
        ]
        return "; ".join(filter(None, words))

    def _repr_html_(self) -> str:
        first, *rest = self.lines()
        items = "".join(f"<li>{escape(line.strip())}</li>" for line in rest)
        return f"<p><b>{escape(first)}</b></p><ul>{items}</ul>"


class Audits(list[Audit]):
    """Several audits, in their order."""

    def __repr__(self) -> str:
        seeds = len({audit.seed for audit in self}) > 1
        return "\n".join(line for audit in self for line in audit.lines(seeds=seeds)) or "no audits"

    def _repr_html_(self) -> str:
        return "".join(audit._repr_html_() for audit in self)
