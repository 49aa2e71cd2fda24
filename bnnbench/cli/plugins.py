"""`bnnbench plugins list` and `bnnbench plugins show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnnbench.cli.printing import clean_lines

if TYPE_CHECKING:
    from bnnbench.plugins.registry import Entry

app = typer.Typer(help="What is installed.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_() -> None:
    """List every component by kind, with its distribution, and every plugin that could not be loaded."""
    from bnnbench.plugins.registry import KINDS, registry

    found = registry()
    width = max((len(entry.name) for entry in found.entries), default=0)
    for kind in KINDS:
        entries = [entry for entry in found.entries if entry.kind == kind]
        if entries:
            _tell(f"{kind}s")
        for entry in entries:
            _tell(f"  {entry.name:<{width}}  {entry.summary}")
            if entry.distribution != "bnnbench":
                _tell(f"  {'':<{width}}  ({entry.distribution} {entry.version})")
    for broken in found.quarantined:
        _tell(f"\n{broken}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A component's name; KIND:NAME where two kinds share it.")]) -> None:
    """Show a component: each parameter with its type, default, bounds and meaning, and where it comes from."""
    for number, entry in enumerate(_find(name)):
        if number:
            _tell("")
        _describe(entry)


def _tell(text: str) -> None:
    """Print what a plugin may have written."""
    print(clean_lines(text))


def _find(name: str) -> list[Entry]:
    from bnnbench.errors import UnknownComponent, closest
    from bnnbench.plugins.registry import KINDS, registry

    kind, _, bare = name.rpartition(":")
    found = [
        entry for entry in registry().entries if entry.name == bare and kind in ("", entry.kind, entry.distribution)
    ]
    if not found:
        close = closest(bare, {entry.name for entry in registry().entries})
        broken = "".join(f"; {one}" for one in registry().quarantined)
        raise UnknownComponent(
            f"no component named '{name}'"
            + (f"; did you mean '{close}'?" if close else f" ({', '.join(KINDS)})")
            + broken
        )
    return found


def _describe(entry: Entry) -> None:
    import inspect
    import textwrap

    component = entry.load()
    _tell(f"{entry.name} ({entry.kind}) of {entry.distribution} {entry.version}")
    _tell(f"{component.__module__}:{component.__qualname__}  {inspect.getsourcefile(component)}")
    _tell("")
    _tell(inspect.getdoc(component) or entry.summary)
    properties = component.model_json_schema()["properties"] if component.model_fields else {}
    if properties:
        _tell("\nparameters")
    for name, field in component.model_fields.items():
        _tell(f"  {name}: {_type(properties[name])} = {_default(field.default)}{_bounds(properties[name])}")
        if field.description:
            text = " ".join(field.description.split())
            _tell(textwrap.fill(text, 78, initial_indent="      ", subsequent_indent="      "))


_TYPES = {"number": "float", "integer": "int", "string": "text", "boolean": "bool", "null": "null", "array": "list"}


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(option) for option in schema["enum"])
    kind = schema.get("type", "any")
    names = kind if isinstance(kind, list) else [kind]
    text = " or ".join(_TYPES.get(str(name), str(name)) for name in names)
    inner = schema.get("items")
    return f"{text} of {_type(inner)}" if inner else text


def _default(value: Any) -> str:
    import json

    return value if isinstance(value, str) and value else json.dumps(value)


_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_LENGTHS = {"minItems": "at least", "maxItems": "at most"}


def _bounds(schema: dict[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", [])]
    bounds = [f"{sign} {option[key]:g}" for option in options for key, sign in _SIGNS.items() if key in option]
    bounds += [f"{word} {option[key]} items" for option in options for key, word in _LENGTHS.items() if key in option]
    return f"  ({', '.join(bounds)})" if bounds else ""
