"""Audits as tables, markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bnnbench.core.threat import Threat
from bnnbench.evidence.audit.audit import Audit, Flag
from bnnbench.plugins.described import counted
from bnnbench.report.markdown import markdown_grid
from bnnbench.report.measure_tables import Grid
from bnnbench.report.words import names_of_threats


def audit_grids(audits: Sequence[Audit]) -> list[Grid]:
    """A table for each data set and network, with a line for each audit; its notes say what each flag has seen."""
    places: dict[tuple[str, str], list[Audit]] = {}
    for audit in audits:
        places.setdefault((audit.dataset, audit.network), []).append(audit)
    return [_grid(f"{dataset} / {network}", found) for (dataset, network), found in places.items()]


def _grid(place: str, audits: Sequence[Audit]) -> Grid:
    several, names = len({audit.seed for audit in audits}) > 1, threat_texts(audits)
    images = max(audit.images for audit in audits)
    lines = [
        [
            audit.posterior,
            names[audit.threat],
            *([str(audit.seed)] if several else []),
            "-" if audit.reported is None else f"{100 * audit.reported:.1f}",
            str(audit.bracket) if audit.bracket else "-",
            audit.headline,
        ]
        for audit in audits
    ]
    columns = ["posterior", "eps", *(["seed"] if several else []), "reported", "truth within", "verdict"]
    title = f"{place}: audit of the robust accuracy in %, {counted(images, 'test image')}"
    return Grid(title, 2 + several, columns, lines, [], _notes(audits))


def _notes(audits: Sequence[Audit]) -> list[str]:
    """The lines below a table: what each flag has seen, why there is no number, and what could not be looked at."""
    names, notes = threat_texts(audits), []
    for code, name in dict.fromkeys((flag.code, flag.name) for audit in audits for flag in audit.flags):
        for audit in audits:
            notes += [
                f"{'note ' * (flag.severity == 'note')}{code} {name}, {_about(audit, names)}: {_seen(flag)}"
                for flag in audit.flags
                if (flag.code, flag.name) == (code, name)
            ]
    notes += [f"{_about(audit, names)}: {audit.refusal}" for audit in audits if audit.refusal]
    unseen = Counter(item for audit in audits for item in audit.unseen.items())
    notes += [
        f"not looked at: {check}: {reason}{f' ({count} of {len(audits)} lines)' if count < len(audits) else ''}"
        for (check, reason), count in unseen.items()
    ]
    return notes


def _seen(flag: Flag) -> str:
    return f"{flag.text}; {flag.remedy}" if flag.remedy else flag.text


def _about(audit: Audit, names: dict[Threat, str]) -> str:
    return f"{audit.posterior} at {names[audit.threat]}"


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
        "seed": audit.seed,
        "verdict": audit.verdict,
        "flags": [flag.code for flag in audit.refuting],
        "reported": audit.reported,
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
