"""`bnnbench plugins list` and `bnnbench plugins show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnnbench.cli.commands import Command
from bnnbench.cli.printing import clean_lines, say

if TYPE_CHECKING:
    from bnnbench.plugins.registrar import Entry

app = typer.Typer(help="List and describe the installed components.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list", cls=Command)
def list_() -> None:
    """List all components, and the plugins that could not be loaded."""
    from bnnbench.plugins.installed import registry
    from bnnbench.plugins.kinds import KIND

    installed = registry()
    width = max((len(entry.name) for entry in installed.entries), default=0)
    for kind in KIND:
        entries = [entry for entry in installed.entries if entry.kind == kind]
        if entries:
            _print(f"{kind}s")
        for entry in entries:
            _print(f"  {entry.name:<{width}}  {entry.summary}")
            if entry.distribution != "bnnbench":
                _print(f"  {'':<{width}}  ({entry.distribution} {entry.version})")
    for broken in installed.quarantined:
        _print(f"\n{broken}")


@app.command("show", cls=Command)
def show(
    name: Annotated[str, typer.Argument(help="Name of a component; KIND:NAME if several kinds have one.")],
) -> None:
    """Describe a component: its parameters and where it comes from.

    Each parameter is listed with its type, default, bounds and meaning.
    """
    for number, entry in enumerate(_find(name)):
        if number:
            _print("")
        _describe(entry)


def _print(text: str) -> None:
    """Print a text that may come from a plugin, without control characters."""
    say(clean_lines(text))


def _find(name: str) -> list[Entry]:
    """The entries of a name, or of `KIND:NAME` or `DISTRIBUTION:NAME`. Raises `UnknownComponent` if there are none."""
    from bnnbench.errors import UnknownComponent, closest
    from bnnbench.plugins.installed import registry
    from bnnbench.plugins.kinds import KIND

    kind, _, bare = name.rpartition(":")
    matching = [
        entry for entry in registry().entries if entry.name == bare and kind in ("", entry.kind, entry.distribution)
    ]
    if not matching:
        close = closest(bare, {entry.name for entry in registry().entries})
        broken = "".join(f"; {plugin}" for plugin in registry().quarantined)
        raise UnknownComponent(
            f"no component named '{name}'"
            + (f"; did you mean '{close}'?" if close else f" ({', '.join(KIND)})")
            + broken
        )
    return matching


def _describe(entry: Entry) -> None:
    """Print the description of a component."""
    import inspect
    import textwrap

    component = entry.load()
    _print(f"{entry.name} ({entry.kind}) of {entry.distribution} {entry.version}")
    _print(f"{component.__module__}:{component.__qualname__}  {inspect.getsourcefile(component)}")
    _print("")
    for paragraph in (inspect.getdoc(component) or entry.summary).split("\n\n"):
        # Lists and formulas are kept as they are.
        _print(paragraph if "\n " in paragraph else textwrap.fill(" ".join(paragraph.split()), 78))
        _print("")
    _print("parameters" if component.model_fields else "no parameters")
    properties = _properties(component)
    for name, field in component.model_fields.items():
        default = _default(field.get_default(call_default_factory=True, validated_data={}))
        _print(f"  {name}: {_type(properties.get(name, {}))} = {default}{_bounds(properties.get(name, {}))}")
        if field.description:
            text = " ".join(field.description.split())
            _print(textwrap.fill(text, 78, initial_indent="      ", subsequent_indent="      "))


_TYPES = {"number": "float", "integer": "int", "string": "text", "boolean": "bool", "null": "null", "array": "list"}


def _type(schema: dict[str, Any]) -> str:
    """The type in the JSON schema of a parameter, in words such as `list of int`."""
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(option) for option in schema["enum"])
    kind = schema.get("type", "any")
    names = kind if isinstance(kind, list) else [kind]
    text = " or ".join(_TYPES.get(str(name), str(name)) for name in names)
    inner = schema.get("items")
    return f"{text} of {_type(inner)}" if inner else text


def _properties(component: Any) -> dict[str, Any]:
    """The JSON schemas of a component's parameters; empty if one of them has a type without a schema."""
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

    try:
        properties: dict[str, Any] = component.model_json_schema().get("properties", {})
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return {}
    return properties


def _default(value: Any) -> str:
    """A default value as JSON, but texts without quotes."""
    import json

    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if isinstance(value, str) and value:
        return value
    try:
        return json.dumps(to_jsonable_python(value))
    except PydanticSerializationError:
        return repr(value)


_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_LENGTHS = {"minItems": "at least", "maxItems": "at most"}


def _bounds(schema: dict[str, Any]) -> str:
    """The bounds in the JSON schema of a parameter, such as `  (>= 0, <= 1)`; empty if there are none."""
    options = [schema, *schema.get("anyOf", [])]
    bounds = [f"{sign} {option[key]:g}" for option in options for key, sign in _SIGNS.items() if key in option]
    bounds += [f"{word} {option[key]} items" for option in options for key, word in _LENGTHS.items() if key in option]
    return f"  ({', '.join(bounds)})" if bounds else ""
