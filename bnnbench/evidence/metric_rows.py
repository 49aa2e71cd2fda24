"""Metrics of the outcomes of attacks, as fields of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bnnbench.errors import ConfigError
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import ATTACK
from bnnbench.measurements.metric import numbers_of
from bnnbench.measurements.metric_names import Metrics

Row = dict[str, Any]


def with_metrics(rows: Sequence[Row], cells: Sequence[Cell], metrics: Metrics) -> list[Row]:
    """The rows of cells, those of attacks with the numbers of the metrics at their end.

    Raises `ConfigError` if a metric would replace a field, and as `metric_numbers` does.
    """
    made = []
    for row, cell in zip(rows, cells, strict=True):
        numbers = metric_numbers(cell, metrics) if cell.spec.kind == ATTACK else {}
        for name, fields in numbers.items():
            if taken := sorted(fields.keys() & row.keys()):
                raise ConfigError([f"metric {name}: rows have a field '{taken[0]}' already"])
            row = row | fields
        made.append(row)
    return made


def metric_numbers(cell: Cell, metrics: Metrics) -> dict[str, dict[str, float | None]]:
    """The numbers of each metric for the cell of an attack, by field; its outcome is loaded from the store.

    Raises `ContractBreach` if a metric fails.
    """
    outcome = cell.outcome
    return {name: numbers_of(name, metric, outcome) for name, metric in metrics.items()}
