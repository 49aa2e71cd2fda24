"""The JSON schema of benchmarks files, built from the installed components."""

from __future__ import annotations

from typing import Any

from bnnbench.matrix.config import PATTERN_KEYS
from bnnbench.matrix.settings import COLUMNS, PATTERNS, SECTIONS, Settings
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registrar import NAME
from bnnbench.plugins.signals import contained


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a benchmarks file, with the parameters of every installed component.

    Editors use it to complete and check files; `read_config` does not.
    """
    top = Settings.model_json_schema()
    top.setdefault("$defs", {})
    pattern = {"type": "object", "properties": {key: {} for key in PATTERN_KEYS}, "additionalProperties": False}
    for section, kind in SECTIONS.items():
        top["properties"][section] = _section_schema(kind, section == "datasets", top)
    top["properties"]["attacks"]["propertyNames"]["not"] = {"enum": [*COLUMNS]}
    for name in PATTERNS:
        top["properties"][name] = {"type": ["array", "null"], "items": pattern}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "title": "bnnbench benchmarks file"}


def _section_schema(kind: str, threats: bool, top: dict[str, Any]) -> dict[str, Any]:
    """The schema of a section: a label that is a component's name needs no `use`, any other label does."""
    definitions, names = top["$defs"], registry().choices(kind)
    known = {name: schema for name in names if (schema := _entry_schema(kind, name, threats, top)) is not None}
    other = {
        "type": "object",
        "required": ["use"],
        "properties": {"use": {"type": "string", "not": {"enum": [*known]}}},
    }
    choices = [{"allOf": [{"$ref": f"#/$defs/{kind}.{name}"}, {"required": ["use"]}]} for name in known]
    definitions |= {f"{kind}.{name}": schema for name, schema in known.items()}
    definitions[kind] = {"anyOf": [*choices, other]}
    named = {
        name: {"anyOf": [{"type": "null"}, {"$ref": f"#/$defs/{kind}.{name}"}, {"$ref": f"#/$defs/{kind}"}]}
        for name in known
    }
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "properties": named,
        "additionalProperties": {"$ref": f"#/$defs/{kind}"},
    }


def _entry_schema(kind: str, name: str, threats: bool, top: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of an entry that uses one component; None if its class cannot be imported, or has no schema.

    `threats` says whether the entry may have `epsilons` and `threats`.
    """
    try:
        with contained():
            model = registry().find(kind, name).load()
            # Parts of a component's schema are named after it, since two components may have parts of one name.
            schema = model.model_json_schema(ref_template=f"#/$defs/{kind}.{name}.{{model}}")
    except Exception:  # noqa: BLE001 - one plugin must not cost editors the others
        return None
    top["$defs"] |= {f"{kind}.{name}.{part}": value for part, value in schema.pop("$defs", {}).items()}
    for field_schema in schema.get("properties", {}).values():
        field_schema.pop("title", None)
    extra: dict[str, Any] = {"use": {"const": name}, "sweep": {"type": "object"}}
    if threats:
        extra |= {key: top["properties"][key] for key in ("epsilons", "threats")}
    return {**schema, "title": name, "properties": extra | schema.get("properties", {}), "additionalProperties": False}
