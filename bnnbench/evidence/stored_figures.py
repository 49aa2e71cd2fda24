"""The figures of a stored cell, without the plan that it belongs to."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from bnnbench.core.threat import Threat
from bnnbench.errors import BnnbenchError, StoreError
from bnnbench.measurements.measurement import Context
from bnnbench.plugins.installed import registry
from bnnbench.plugins.kinds import KIND
from bnnbench.store import codec
from bnnbench.store.store import Store


def figures_of(store: Store, key: str, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figures of a cell by name, computed from its record and arrays; None if its component is not installed.

    Raises `StoreError` if its arrays are damaged or are not those of a result.
    """
    kind = KIND.get(str(record.get("kind")))
    if kind is None or kind.measurement is None:
        return None
    module, _, name = kind.measurement.partition(":")
    measurement = getattr(importlib.import_module(module), name)
    component = _component(kind.name, record)
    if component is None and not hasattr(measurement, "schema"):
        return None
    threat = record["identity"].get("threat")
    try:
        context = Context(Threat(**threat) if isinstance(threat, dict) else None)
    except (TypeError, ValueError) as error:
        raise StoreError(f"cells/{key}: the threat in its record is not a threat") from error
    restoring = measurement(component)
    figures: dict[str, Any] = restoring.row(codec.loaded(store, key, record, restoring, context))
    return figures


def _component(kind: str, record: Mapping[str, Any]) -> Any | None:
    """A component of the class that a record names, with default parameters; None if the class is not registered."""
    identity = record["identity"].get(kind)
    name = identity.get("component") if isinstance(identity, dict) else None
    for entry in registry().entries:
        target = entry.target
        path = target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"
        if entry.kind == kind and path == name:
            try:
                return entry.load()()
            except BnnbenchError:
                return None
    return None
