"""The JSON schema of benchmarks files, built from the installed components."""

from __future__ import annotations

from typing import Any

from bnnbench.matrix.config import PATTERN_KEYS
from bnnbench.matrix.settings import FIRST_COLUMN, LAST_COLUMN, PATTERNS, SECTIONS, Settings
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registrar import NAME
from bnnbench.plugins.signals import contained


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a benchmarks file, with the parameters of every installed component.

    Editors use it to complete and check files; `read_config` does not.
    """
    top = Settings.model_json_schema()
    definitions = top.setdefault("$defs", {})
    pattern = {"type": "object", "properties": {key: {} for key in PATTERN_KEYS}, "additionalProperties": False}
    for section, kind in SECTIONS.items():
        choices = [_entry_schema(kind, name, section == "datasets", top) for name in registry().choices(kind)]
        known = [choice for choice in choices if choice is not None]
        definitions[kind] = {"anyOf": [{"type": "null"}, *known, {"type": "object", "required": ["use"]}]}
        top["properties"][section] = {
            "type": "object",
            "propertyNames": {"pattern": f"^{NAME.pattern}$"},
            "additionalProperties": {"$ref": f"#/$defs/{kind}"},
            "minProperties": 1,
        }
    top["properties"]["attacks"]["propertyNames"]["not"] = {"enum": [FIRST_COLUMN, LAST_COLUMN]}
    for name in PATTERNS:
        top["properties"][name] = {"type": "array", "items": pattern}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "title": "bnnbench benchmarks file"}


def _entry_schema(kind: str, name: str, threats: bool, top: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of an entry that uses one component; None if its class cannot be imported, or has no schema.

    `threats` says whether the entry may have `epsilons` and `threats`.
    """
    try:
        with contained():
            schema = registry().find(kind, name).load().model_json_schema()
    except Exception:  # noqa: BLE001 - one plugin must not cost editors the others
        return None
    for field_schema in schema["properties"].values():
        field_schema.pop("title", None)
    extra: dict[str, Any] = {"use": {"const": name}, "sweep": {"type": "object"}}
    if threats:
        extra |= {key: top["properties"][key] for key in ("epsilons", "threats")}
    return {**schema, "title": name, "properties": extra | schema["properties"], "additionalProperties": False}
