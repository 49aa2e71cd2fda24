"""Whether a record is about the draws that the store has now: those of its fit, and those of other fits.

Other fits are those that a fit is made of, or that a cell compares with. Draws can differ although their key is the
same, if their fit was lost and computed again in another environment, or loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bnnbench.matrix.specs import FitSpec
from bnnbench.store.store import DRAWS

NEEDED = "needed_sha256"
"""The field of a record with the checksums of the draws of other fits that it was computed with, by their keys."""

Record = Mapping[str, Any]


def is_about(draws_sha256: str | None, fit: Record) -> bool:
    """Whether a cell was computed with the draws of a fit's record, given the checksum of draws in the cell's record.

    True for a cell without a checksum.
    """
    return draws_sha256 is None or draws_sha256 == sum_of(fit)


def sum_of(fit: Record) -> str | None:
    """The checksum of the draws of a fit's record; None if it has none."""
    sha256 = fit["artefacts"].get(DRAWS, {}).get("sha256")
    return None if sha256 is None else str(sha256)


def stated(records: Mapping[str, Record]) -> dict[str, Any]:
    """The fields of a record that was computed with the draws of these other fits, by key; empty if there are none."""
    return {NEEDED: {key: sum_of(record) for key, record in records.items()}} if records else {}


def other_draws(record: Record, needs: Iterable[FitSpec], known: Callable[[str], Record | None]) -> FitSpec | None:
    """The first of the needed fits whose draws are now others than a record was computed with; None if there is none.

    `known` gives the record of a fit by its key. A fit without draws, and a checksum that is not stated, tell nothing.
    """
    sums = record.get(NEEDED)
    if not isinstance(sums, dict):
        return None
    for fit in needs:
        before, now = sums.get(fit.key), known(fit.key)
        if before is not None and now is not None and sum_of(now) not in (None, before):
            return fit
    return None
