"""The flag about a number of which no reported attack is evidence, by the findings about their outcomes."""

from __future__ import annotations

from collections.abc import Mapping

from bnnbench.evidence.audit.audit import Flag
from bnnbench.evidence.audit.check import Look
from bnnbench.measurements.findings import PROBABILITIES, REFUTING, ZERO_DIRECTION
from bnnbench.measurements.outcome import Outcome
from bnnbench.plugins.described import counted

_CHECKED = (ZERO_DIRECTION.mark, PROBABILITIES.mark)
"""The marks of findings that checks judge: A5 image by image, and A6."""
_REMEDY = "report an attack that moves the images, on a model that tells them apart"


def no_evidence(reported: Mapping[str, Outcome]) -> list[Flag]:
    """The flag, if every reported attack has a finding that refutes it and that no check judges; otherwise nothing.

    One attack without such a finding bounds the number by itself.
    """
    attacks: dict[str, list[str]] = {}
    for label, outcome in reported.items():
        for finding in outcome.findings:
            if finding.mark in REFUTING and finding.mark not in _CHECKED:
                attacks.setdefault(finding.text, []).append(label)
    refuted = {label for labels in attacks.values() for label in labels}
    if len(refuted) < len(reported):
        return []
    told = "; ".join(f"{text} ({', '.join(labels)})" for text, labels in attacks.items())
    text = f"{told} (flag where this is all of {counted(len(reported), 'attack')})"
    return [Flag("A0", "no-evidence", "refutes", Look(True, len(refuted), len(reported), text, _REMEDY))]
