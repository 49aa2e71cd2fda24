"""A record of the store as text for people: figures first, then the rest, then the traceback of a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bnnbench.errors import clean

_FIGURES = ("figures", "test", "card", "diagnostics")
"""Fields of a record that hold figures, in the order in which they are shown."""
_FIRST = ("kind", "key", "status", "reason", "warnings")
"""The fields that are shown first."""
_WHY = "no_figures"
"""The field that says why a record has no figures."""
_SHOWN_APART = (*_FIGURES, _WHY, "traceback")
"""The fields that have a place of their own."""


def record_text(record: Mapping[str, Any]) -> str:
    """A record as lines of text without unprintable characters, with its figures and traceback if it has any.

    A field `no_figures` is shown in the place of figures: it says why there are none.
    """
    rest = {name: value for name, value in sorted(record.items()) if name not in (*_FIRST, *_SHOWN_APART)}
    plain = {name: value for name, value in rest.items() if not isinstance(value, Mapping)}
    parts = [list(_entries({name: record[name] for name in _FIRST if name in record}, 0))]
    parts += [[name, *_entries(record[name], 1)] for name in _FIGURES if isinstance(record.get(name), Mapping)]
    if record.get(_WHY):
        parts.insert(1, [f"figures  none: {_text(record[_WHY])}"])
    parts.append(["record", *_entries(plain | {name: rest[name] for name in rest if name not in plain}, 1)])
    if record.get("traceback"):
        parts.append(str(record["traceback"]).splitlines())
    return "\n\n".join("\n".join(map(clean, part)) for part in parts)


def _entries(values: Mapping[str, Any], depth: int) -> Iterator[str]:
    """A line for each entry of a mapping, with the values in a column; those of nested mappings are indented."""
    indent = "  " * depth
    flat = [name for name, value in values.items() if not _is_nested(value)]
    size = max(map(len, flat), default=0)
    for name, value in values.items():
        if not _is_nested(value):
            yield f"{indent}{name:{size}}  {_text(value)}"
            continue
        yield f"{indent}{name}"
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        yield from _entries({str(key): item for key, item in items}, depth + 1)


def _is_nested(value: Any) -> bool:
    """Whether a value is a mapping with entries, or a list that holds mappings."""
    return bool(value) and (
        isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value))
    )


def _text(value: Any) -> str:
    """A plain value as text: `-` if it is empty, and floats in full."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return " ".join(str(value).split())
