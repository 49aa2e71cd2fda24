"""Rows of reports as json and csv. They do not pass through rich, which could drop digits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bnnbench.evidence.results import Results


def to_json(results: Results, kind: str = "cells") -> str:
    """The rows of a kind (`Results.rows`) as a JSON list of objects, floats in full; the same bytes for the same store.

    By default there is an object for each cell of the plan.
    """
    return rows_to_json(results.rows(kind))


def to_csv(results: Results, kind: str = "cells") -> str:
    """The rows of a kind as comma-separated values (`rows_to_csv`)."""
    return rows_to_csv(results.rows(kind))


def rows_to_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a JSON list of objects, floats in full."""
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def rows_to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as comma-separated values with a header line. No text can be taken for a formula."""
    rows = [{name: _csv_value(value) for name, value in row.items()} for row in rows]
    # Cells of different kinds have different columns.
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _csv_value(value: Any) -> Any:
    """A value for csv: lists joined by `; `, mappings as JSON, and `'` before a text that could begin a formula."""
    if isinstance(value, list):
        value = "; ".join(str(item) for item in value)
    if isinstance(value, dict):
        value = json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
