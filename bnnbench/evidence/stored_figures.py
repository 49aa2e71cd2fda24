"""The figures of a stored cell, without the plan that it belongs to."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.threat import Threat
from bnnbench.errors import PluginError, StoreError, UnknownComponent, message_of, one_line
from bnnbench.measurements.measurement import Context
from bnnbench.plugins.installed import registry
from bnnbench.plugins.kinds import KIND
from bnnbench.plugins.registry import made
from bnnbench.plugins.signals import contained
from bnnbench.store import codec
from bnnbench.store.store import Store

_PARTS = {"inherited": "base classes", "fingerprint": "the files that it reads"}
"""The words for parts of an identity whose names do not say what they are."""


def figures_of(store: Store, key: str, record: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The figures of a cell by name, and an empty text; or None, and the reason why they cannot be computed here.

    They are computed from the cell's record and arrays by the component that the record names, with the parameters in
    the record. Raises `StoreError` if the arrays are damaged or are not those of a result.
    """
    kind = KIND.get(str(record.get("kind")))
    if kind is None or kind.measurement is None:
        return None, "its record is not that of a measurement"
    module, _, name = kind.measurement.partition(":")
    measurement = getattr(importlib.import_module(module), name)
    component = None
    # Outcomes of attacks have one schema and the same figures, whatever the attack.
    if not hasattr(measurement, "schema"):
        try:
            with contained():
                component = _component_of(kind.name, record)
        except Exception as error:  # noqa: BLE001 - a plugin's class validates its parameters, and may read files
            return None, one_line(message_of(error))
    threat = record["identity"].get("threat")
    try:
        context = Context(Threat(**threat) if isinstance(threat, dict) else None)
    except (TypeError, ValueError) as error:
        raise StoreError(f"cells/{key}: the threat in its record is not a threat") from error
    restoring = measurement(component)
    result = codec.loaded(store, key, record, restoring, context)
    try:
        with contained():
            return restoring.row(result), ""
    except Exception as error:  # noqa: BLE001 - a plugin computes figures
        return None, one_line(f"they cannot be computed: {message_of(error)}")


def _component_of(kind: str, record: Mapping[str, Any]) -> Component:
    """The component of a kind that the record of a cell names, with its parameters.

    Raises `UnknownComponent` if it cannot be made here, or would be another one, and what a plugin's class raises.
    """
    identity = record["identity"].get(kind)
    if not _is_identity(identity):
        raise UnknownComponent(f"its record names no {kind}")
    component, name = _restored(identity), identity["component"]
    if component.kind != kind:
        raise UnknownComponent(f"its record names the {component.kind} {name} as its {kind}")
    remade = component.identity()
    # Another version may compute other figures from the same arrays.
    if differing := [part for part in sorted({*identity, *remade}) if identity.get(part) != remade.get(part)]:
        parts = " and ".join(_PARTS.get(part, part) for part in differing)
        raise UnknownComponent(f"the {kind} {name} is another one here than in the record: it differs in {parts}")
    return component


def _is_identity(value: Any) -> bool:
    """Whether a value of a record has the form of a component's identity."""
    parts = value if isinstance(value, dict) else {}
    return isinstance(parts.get("component"), str) and isinstance(parts.get("parameters"), dict)


def _restored(identity: Mapping[str, Any]) -> Component:
    """The component with the name and parameters of an identity, and with the components among its parameters.

    Its class must be registered, because a record must not name code to run. Raises `UnknownComponent` if it is not,
    `PluginError` if it cannot be imported, and `ParameterError` for wrong parameters.
    """
    name = identity["component"]
    model = _registered(name)
    component: Component = made(model, _with_components(identity["parameters"]), f"{model.kind} {name}")
    return component


def _registered(name: str) -> Any:
    """The registered class that an identity calls `name`, "module:Class"."""
    if name.startswith("file:"):
        raise UnknownComponent(f"'{name.removeprefix('file:')}' is in a file of the user's own: use bnnbench report")
    entries = registry().entries
    for entry in entries:
        if entry.target_name == name:
            return entry.load()
    # A package may register a class that one of its modules defines.
    package = name.replace(":", ".").partition(".")[0]
    for entry in entries:
        if entry.target_name.replace(":", ".").partition(".")[0] == package:
            with contextlib.suppress(PluginError):
                model = entry.load()
                if f"{model.__module__}:{model.__qualname__}" == name:
                    return model
    raise UnknownComponent(f"no installed plugin has the component {name}")


def _with_components(value: Any) -> Any:
    """A value of a record in which each identity of a component is replaced by the component."""
    if _is_identity(value):
        return _restored(value)
    if isinstance(value, dict):
        return {key: _with_components(item) for key, item in value.items()}
    return [_with_components(item) for item in value] if isinstance(value, list) else value
