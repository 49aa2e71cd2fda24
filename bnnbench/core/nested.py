"""Find and replace components inside of other values: fields, tuples, lists, mappings, models and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def nested(value: Any, kind: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """All instances of `kind` inside of a value, at any depth, with their paths (`.objective`, `.attacks.0`).

    An instance is yielded before those inside of it. The value itself is not yielded.
    """
    for name, item in _items(value):
        item_path = f"{path}.{name}"
        if isinstance(item, kind):
            yield item_path, item
        yield from nested(item, kind, item_path)


def replaced(value: Any, kind: type, replacement: Callable[[Any], Any]) -> Any:
    """The value with each instance of `kind` replaced by `replacement(instance)`.

    Instances inside of a replaced instance are left to `replacement`. Containers without an instance are not copied.
    """
    if isinstance(value, kind):
        return replacement(value)
    items = _items(value)
    new = [replaced(item, kind, replacement) for _, item in items]
    if all(part is item for part, (_, item) in zip(new, items, strict=True)):
        return value
    fields = dict(zip((name for name, _ in items), new, strict=True))
    if isinstance(value, BaseModel):
        return value.model_copy(update=fields)
    if isinstance(value, Mapping):
        return type(value)(zip(value, new, strict=True))  # type: ignore[call-arg]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **fields)
    return type(value)(*new) if hasattr(value, "_fields") else type(value)(new)


def with_identities(value: Any, dumped: Any, kind: type) -> Any:
    """The JSON form of a value, with the identity of each component instead of its parameters.

    Args:
        value: the value.
        dumped: its JSON form with the components' parameters, as pydantic gives it.
        kind: the class of components, which have a method `identity`.

    If the JSON form has another structure than the value, it is returned together with the identities of all components
    inside of the value: `{"value": ..., "components": [...]}`.
    """
    if isinstance(value, kind):
        return value.identity()  # type: ignore[attr-defined]
    items = _items(value)
    if isinstance(value, set | frozenset) and isinstance(dumped, list):
        # The order of a set differs between processes.
        parts = [item.identity() if isinstance(item, kind) else item for _, item in items]  # type: ignore[attr-defined]
        return parts if any(isinstance(item, kind) for _, item in items) else sorted(dumped, key=repr)
    if isinstance(dumped, dict) and len(dumped) == len(items):
        pairs = zip(items, dumped.items(), strict=True)
        return {key: with_identities(item, part, kind) for (_, item), (key, part) in pairs}
    if isinstance(dumped, list) and len(dumped) == len(items):
        return [with_identities(item, part, kind) for (_, item), part in zip(items, dumped, strict=True)]
    components = [component.identity() for _, component in nested(value, kind)]
    return {"value": dumped, "components": components} if components else dumped


def _items(value: Any) -> list[tuple[str, Any]]:
    """The parts of a value, by field, key or position; empty for values of types that are not searched."""
    if isinstance(value, BaseModel):
        return [(name, getattr(value, name)) for name in type(value).model_fields]
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [(str(position), item) for position, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [(str(position), item) for position, item in enumerate(sorted(value, key=repr))]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return []
