"""The marks of tables and their meaning: those of findings about outcomes, and those of posteriors and absent cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bnnbench.evidence.cell import Cell
from bnnbench.measurements import findings

SHORT = "~"
"""The mark of a posterior that has not converged."""
MARKS = {
    SHORT: "short posterior (not converged): about these draws only",
    **findings.MEANINGS,
    "+": "partial: a seed, an attack or a certificate is missing",
}
"""The meaning of each mark, in the order in which tables list them."""


def short_mark(cells: Iterable[Cell]) -> str:
    """The mark of a short posterior if that of any of the cells is short; otherwise an empty text."""
    return SHORT if any(cell.card == "short" for cell in cells) else ""


def marks_of(cells: Collection[Cell], among: str, seeds: Collection[int]) -> str:
    """The marks among these that some of the cells have, then `+` if no cell has one of the seeds."""
    found = "".join(mark for mark in among if any(mark in cell.marks for cell in cells))
    return found + "+" * ({cell.spec.seed for cell in cells} != {*seeds})
