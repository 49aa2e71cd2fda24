"""A cell of a plan with its status, its figures, and its result in the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnnbench.evidence.rows import row_of
from bnnbench.matrix.specs import CellSpec
from bnnbench.measurements.findings import REFUTING
from bnnbench.measurements.measurement import Notes
from bnnbench.store import codec
from bnnbench.store.store import CELLS, Store


def times_of(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The seconds and the CPU seconds of a record; None for what is no number."""
    seconds, cpu_seconds = (record.get(name) for name in ("seconds", "cpu_seconds"))
    return _number(seconds), _number(cpu_seconds)


def _number(value: Any) -> float | None:
    """A value of a record as a finite number; None for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell of a plan with its status: `ok`, `failed`, `timeout`, `invalid`, `skipped` or `missing`.

    `card` is the level of the fit's card, and `rhat` its largest R-hat; both may be None. `figures` maps the names of
    figures to their values, which are None if the cell has no result. `marks` maps marks of tables to lines that say
    what they mean for this cell. `robust` (N,) says at which images an attack failed, `certified` (N,) at which a
    certificate proves that all do, and `counterexample` (N,) at which an input of another class than the label was
    found; they are None for other measurements. `distance` (N,) is that of the attacked images in the threat's norm,
    and `coordinates` their number of coordinates; they are None and 0 for all but attacks. `sample` is a checksum of
    the positions and labels of its images. `seconds` and `cpu_seconds` are the cell's share of the time of the task
    that computed it, None without a result. Other arrays stay on disk until `outcome` loads them.
    """

    spec: CellSpec
    status: str
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    card: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    marks: Notes = field(default_factory=dict)
    robust: np.ndarray | None = None
    store: Store | None = field(default=None, repr=False)
    rhat: float | None = None
    certified: np.ndarray | None = None
    counterexample: np.ndarray | None = None
    sample: str = ""
    distance: np.ndarray | None = None
    coordinates: int = 0
    seconds: float | None = None
    cpu_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the cell has a result."""
        return self.status == "ok"

    @property
    def refuted(self) -> bool:
        """Whether a finding says that the result is no evidence."""
        return any(mark in REFUTING for mark in self.marks)

    @property
    def outcome(self) -> Any | None:
        """The result of the cell, loaded from the store; None if it has none."""
        if not self.ok or self.store is None:
            return None
        record = self.store.record(CELLS, self.spec.key)
        return (
            None
            if record is None
            else codec.loaded(self.store, self.spec.key, record, self.spec.measurement, self.spec.context)
        )

    def row(self) -> dict[str, Any]:
        """The row of the cell in reports, by column."""
        return row_of(self.spec, self.status, self.reason, self.warnings, self.card, self.figures)
