"""The marks of tables and their meaning: those of findings about outcomes, and those of posteriors and absent cells."""

from __future__ import annotations

from bnnbench.measurements import findings

MARKS = {
    "~": "short posterior (not converged): about these draws only",
    **findings.MEANINGS,
    "+": "partial: a seed, an attack or a certificate is missing",
}
"""The meaning of each mark, in the order in which tables list them."""
