"""The notes below a table about the flags of the audit that cost nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnnbench.core.threat import Threat
from bnnbench.evidence.audit.audit import Audit
from bnnbench.evidence.lines import Group
from bnnbench.plugins.described import counted

MOST = 2
"""The largest number of lines about one flag."""


def flag_notes(audits: Sequence[Audit], group: Group, threats: Mapping[Threat, str]) -> list[str]:
    """The notes about the flags that refute numbers of a table, and the command that looks further.

    `threats` are the names of the table's threats.
    """
    about = [one for one in audits if (one.dataset, one.network) == (group.dataset, group.network)]
    raised: dict[str, list[str]] = {}
    for audit in about:
        for flag in audit.refuting:
            raised.setdefault(flag.code, []).append(f"{_about(audit, group, threats)}: {flag.text}")
    notes = []
    for code, lines in raised.items():
        more = [f"flag {code}: and {counted(len(lines) - MOST, 'more line')}"] if len(lines) > MOST else []
        notes += [*(f"flag {code}, {line}" for line in lines[:MOST]), *more]
    if raised:
        return [*notes, "a flag refutes the number: bnnbench audit says what to run, and looks further"]
    return ["no flag raised by the checks that cost nothing: bnnbench audit looks further"] if _seen(about) else []


def _seen(audits: Sequence[Audit]) -> bool:
    """Whether some check has looked at some number."""
    return any(audit.looked for audit in audits)


def _about(audit: Audit, group: Group, threats: Mapping[Threat, str]) -> str:
    seed = f" (seed {audit.seed})" if len(group.seeds) > 1 else ""
    return f"{audit.posterior} at {threats[audit.threat]}{seed}"
