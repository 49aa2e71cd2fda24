"""Build and check records: JSON objects that say how a fit, a chain or a cell ended.

Every record is built here. It holds the kind and the identity of its subject, its ending (`Ending`), and the fields
that its task adds. The store adds its key, the checksums of its artefacts and its own checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.matrix.specs import CellSpec, FitSpec

STATUSES = ("ok", "failed", "timeout", "invalid", "skipped")
FINAL = ("ok", "skipped")
"""Statuses that are kept. The next run tries again what has any other."""
LONGEST = 1e12
"""The largest time in seconds that a record may state."""
DEFAULTS: dict[str, Any] = {"reason": "", "warnings": [], "environment": {}, "identity": {}, "seconds": 0.0}
"""Fields that readers take for granted, with the value that stands for an absent one."""
_OF_THE_STORE = ("sha256", "artefacts", "key")
"""Fields that the store adds."""


@dataclass(frozen=True)
class Ending:
    """How a task ended: its status, the reason if it is not `ok`, its time in seconds, and where it ran."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    cpu_seconds: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] | None = None
    traceback: str = ""

    def fields(self) -> dict[str, Any]:
        """The ending as fields of a record; those that are not known are left out."""
        values = {
            "status": self.status,
            "reason": self.reason,
            "seconds": self.seconds,
            "environment": self.environment,
            "cpu_seconds": self.cpu_seconds,
            "warnings": self.warnings,
            "traceback": self.traceback or None,
        }
        return {name: value for name, value in values.items() if value is not None}


def record_of_part(fit: FitSpec, part: int, ending: Ending, **more: Any) -> dict[str, Any]:
    """The record of one part of a fit, such as a chain; `more` are fields that its task adds."""
    return {**ending.fields(), "kind": "chain", "identity": fit.part_identity(part), "seed": fit.seed, **more}


def record_of_fit(fit: FitSpec, ending: Ending, **more: Any) -> dict[str, Any]:
    """The record of a fit; `more` are fields that its task adds."""
    return {**ending.fields(), "kind": "fit", "identity": fit.identity, "seed": fit.seed, **more}


def record_of_cell(cell: CellSpec, ending: Ending, **more: Any) -> dict[str, Any]:
    """The record of a cell; `more` are fields that its task adds."""
    subject = {"kind": cell.kind, "identity": cell.identity, "fit": cell.fit.key, "seed": cell.seed}
    return {**ending.fields(), **subject, **more}


def changed(record: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A stored record with some fields changed, ready to be written again without its artefacts."""
    return {**{name: value for name, value in record.items() if name not in _OF_THE_STORE}, **changes}


def own_sum(record: Mapping[str, Any]) -> str:
    """The sha256 of a record or manifest as canonical JSON, in hexadecimal; its own field `sha256` is left out."""
    body = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def check_fields(record: Mapping[str, Any]) -> None:
    """Raise `StoreError` if a field that readers take for granted has another type or an impossible value.

    The checksum does not rule that out: a person who can write a file can give it a checksum.
    """
    for name, default in DEFAULTS.items():
        kind = (int, float) if isinstance(default, float) else type(default)
        value = record.get(name, default)
        if not isinstance(value, kind) or (isinstance(default, float) and not 0 <= value <= LONGEST):
            raise StoreError(f"its {name} is not what it must be")
    if record["status"] not in STATUSES:
        raise StoreError("its status is unknown")


def with_defaults(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with defaults in the place of absent fields."""
    return {**DEFAULTS, **record}
