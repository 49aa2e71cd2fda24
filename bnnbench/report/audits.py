"""Audits as tables, markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bnnbench.core.threat import Threat
from bnnbench.evidence.audit.audit import Audit, Flag
from bnnbench.evidence.audit.looking import place_of
from bnnbench.evidence.threat_names import names_of_threats
from bnnbench.plugins.described import counted
from bnnbench.report.markdown import markdown_grid
from bnnbench.report.measure_tables import Grid


def audit_grids(audits: Sequence[Audit]) -> list[Grid]:
    """A table for each data set and network, with a line for each audit; its notes say what each flag has seen."""
    places: dict[tuple[str, str], list[Audit]] = {}
    for audit in audits:
        places.setdefault((audit.dataset, audit.network), []).append(audit)
    return [_grid(" / ".join(filter(None, place)), found) for place, found in places.items()]


def _grid(place: str, audits: Sequence[Audit]) -> Grid:
    several, names = _several(audits), threat_texts(audits)
    images = max(audit.images for audit in audits)
    lines = [
        [
            audit.posterior,
            names[audit.threat],
            *([str(audit.seed)] if several else []),
            "-" if audit.reported is None else f"{100 * audit.reported:.1f}{'+' * bool(audit.missing)}",
            str(audit.bracket) if audit.bracket else "-",
            audit.headline,
        ]
        for audit in audits
    ]
    columns = ["posterior", "eps", *(["seed"] if several else []), "reported", "truth within", "verdict"]
    untargeted = all(audit.threat.goal == "untargeted" for audit in audits)
    what = "robust accuracy" if untargeted else "images that withstand"
    shown = f", {counted(images, 'test image')}" if images else ""
    marks = ["+"] if any(audit.missing for audit in audits if audit.reported is not None) else []
    title = f"{place}: " if place else ""  # In a program nothing has a label.
    return Grid(f"{title}audit of the {what} in %{shown}", 2 + several, columns, lines, marks, _notes(audits))


def _several(audits: Sequence[Audit]) -> bool:
    """Whether the audits are of several seeds."""
    return len({audit.seed for audit in audits}) > 1


def _notes(audits: Sequence[Audit]) -> list[str]:
    """The lines below a table: what is counted, what each flag has seen, and what is missing or was not looked at."""
    lines = _Lines(audits)
    notes = lines.gathered("threat", [(audit, audit.terms) for audit in audits if audit.terms])
    notes += lines.gathered("", [(audit, reason) for audit in audits for reason in audit.left_out()])
    for code, name in dict.fromkeys((flag.code, flag.name) for audit in audits for flag in audit.flags):
        notes += lines.raised(code, name)
    raised = {flag.code for audit in audits for flag in audit.flags}
    quiet = sorted({code for audit in audits for code in audit.quiet} - raised, key=place_of)
    notes += [f"looked at and not raised: {', '.join(quiet)}"] if quiet else []
    unseen = [(audit, f"{check}: {reason}") for audit in audits for check, reason in audit.unseen.items()]
    numbers = [audit for audit in audits if audit.reported is not None]
    notes += lines.gathered("not looked at", unseen, len(numbers))
    if any(text.startswith(NOT_RUN) for audit in audits for text in [*audit.unseen.values(), *audit.missing.values()]):
        notes.append("what was not run yet is run by bnnbench audit without --look")
    return [*notes, MEANING] if numbers else notes


NOT_RUN = "missing: "
"""What the reason begins with if a cell is not in the store."""
MEANING = (
    "truth within: from what a certificate proves (? if none can) to what withstands every attack that was run; "
    "NOT REFUTED: no check found a sign of a weak attack, which proves nothing"
)
"""What columns and verdict mean."""
MOST = 3
"""The largest number of lines that a note names."""


class _Lines:
    """The lines of a table, as its notes name them."""

    def __init__(self, audits: Sequence[Audit]) -> None:
        self._audits, self._names, self._seeds = audits, threat_texts(audits), _several(audits)

    def about(self, audit: Audit) -> str:
        """The name of a line: posterior, threat, and the seed if there are several."""
        seed = f" (seed {audit.seed})" if self._seeds else ""
        return f"{audit.posterior} at {self._names[audit.threat]}{seed}".strip()

    def gathered(self, start: str, texts: Sequence[tuple[Audit, str]], among: int = 0) -> list[str]:
        """A note for each text, which ends with the lines that it is about unless it is about all.

        `among` is the number of lines that it may be about; by default that of all.
        """
        where: dict[str, list[Audit]] = {}
        for audit, text in texts:
            where.setdefault(text, []).append(audit)
        return [
            f"{start}{': ' * bool(start)}{text}{self._which(found, among or len(self._audits))}"
            for text, found in where.items()
        ]

    def raised(self, code: str, name: str) -> list[str]:
        """A note for each text of a flag that is raised, which begins with the lines that it is about."""
        where: dict[tuple[str, str], list[Audit]] = {}
        for audit in self._audits:
            for flag in audit.flags:
                if (flag.code, flag.name) == (code, name):
                    start = "note " * (flag.severity == "note")
                    where.setdefault((f"{start}{code} {name}", _seen(flag)), []).append(audit)
        return [f"{start}, {', '.join(map(self.about, found))}: {text}" for (start, text), found in where.items()]

    def _which(self, audits: Sequence[Audit], among: int) -> str:
        if len(audits) == among:
            return ""
        if len(audits) > MOST:
            return f" ({len(audits)} of {among} lines)"
        return f" ({', '.join(map(self.about, audits))})"


def _seen(flag: Flag) -> str:
    return f"{flag.text}; {flag.remedy}" if flag.remedy else flag.text


def threat_texts(audits: Sequence[Audit]) -> dict[Threat, str]:
    """The name of each threat of a table of audits."""
    return names_of_threats({audit.threat: audit.radius for audit in audits})


def as_markdown(audits: Sequence[Audit]) -> str:
    """The tables in markdown."""
    return "\n".join(map(markdown_grid, audit_grids(audits)))


def as_json(audits: Sequence[Audit]) -> str:
    """The audits as a JSON list of objects, floats in full."""
    return json.dumps([_object(audit) for audit in audits], indent=1, allow_nan=False) + "\n"


def _object(audit: Audit) -> dict[str, Any]:
    threat = audit.threat
    return {
        "dataset": audit.dataset,
        "network": audit.network,
        "posterior": audit.posterior,
        "epsilon": threat.epsilon,
        "norm": threat.norm,
        "stream": threat.stream,
        "access": threat.access,
        "goal": threat.goal,
        "attack_draws": threat.attack_draws,
        "queries": threat.queries,
        **threat.goal_options,
        "seed": audit.seed,
        "verdict": audit.verdict,
        "flags": [flag.code for flag in audit.refuting],
        "reported": audit.reported,
        "attacks": list(audit.attacks),
        "missing": audit.missing,
        "bracket_low": audit.bracket and audit.bracket.low,
        "bracket_high": audit.bracket and audit.bracket.high,
        "images": audit.images,
        "refusal": audit.refusal,
        "looks": [
            {
                "flag": flag.code,
                "check": flag.name,
                "severity": flag.severity,
                "fired": flag.look.fired,
                "figure": _finite(flag.look.figure),
                "threshold": _finite(flag.look.threshold),
                "text": flag.text,
                "remedy": flag.remedy,
            }
            for flag in audit.looked
        ],
        "unseen": audit.unseen,
    }


def _finite(value: float) -> float | None:
    """A number, which may be one of numpy's; None if it is infinite, which JSON does not have."""
    number = float(value)
    return number if abs(number) < float("inf") else None
