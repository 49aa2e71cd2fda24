"""Components as the command line names them: what `use` names, with parameters after `@`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.component_use import used
from bnnbench.errors import ParameterError, one_line
from bnnbench.plugins.described import LONGEST
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registry import made

_JSON = json.JSONDecoder()


def named(kind: str, text: str) -> Component:
    """The component of a kind that a text names, such as `selective@score=entropy,share=0.8`.

    Before `@` stands what `use` in a benchmarks file may be. A value is written in JSON: a number, `true`, `null`,
    `[1, 2]`, `"a, b"`; anything else is a text up to the next comma. Raises `UnknownComponent`, `PluginError` and
    `ParameterError`, on one line.
    """
    use, _, written = text.partition("@")
    parameters = {}
    for part in parts_of(written):
        name, equals, value = part.partition("=")
        if not equals:
            raise ParameterError(f"{kind} {use}: '{part}' is no parameter; write NAME=VALUE after the @")
        if name in parameters:
            raise ParameterError(f"{kind} {use}: '{name}' is given twice; give one value")
        try:
            parameters[name] = _value(value)
        except RecursionError:
            start = one_line(value, LONGEST)
            raise ParameterError(f"{kind} {use}: {name}: the value is nested too deeply: {start}") from None
    model, parameters = used(kind, use, Path(), parameters)
    component: Component = made(model, parameters, f"{kind} {use}")
    return component


def name_of(component: Component) -> str:
    """The registered name of a component, or that of its class, with the parameters that are not the defaults.

    `named` makes an equal component of it if the class is registered.
    """
    return registered_name(component) + parameters_of(component)


def registered_name(component: Component) -> str:
    """The registered name of a component, or that of its class if it is not registered."""
    recipe = registry().recipe(component.kind, component)
    return type(component).__name__ if recipe is None else str(recipe["use"]).rpartition(":")[2]


def parameters_of(component: Component) -> str:
    """The parameters of a component that are not the defaults, after `@`; an empty text if there are none."""
    values, defaults = component.model_dump(mode="json"), _defaults(type(component))
    # 1 and true are equal, but not the same parameter.
    changed = [f"{name}={_written(value)}" for name, value in values.items() if json.dumps(value) != defaults.get(name)]
    return f"@{','.join(changed)}" if changed else ""


def _defaults(cls: type[Component]) -> dict[str, str]:
    """The default of each parameter in JSON; none if the defaults do not go together."""
    try:
        return {name: json.dumps(value) for name, value in cls().model_dump(mode="json").items()}
    except ParameterError:
        return {}


def parts_of(text: str) -> Iterator[str]:
    """The parts of a text between commas, without spaces around them and empty ones. A value in JSON stays whole."""
    start = at = 0
    while at <= len(text):
        if at == len(text) or text[at] == ",":
            if part := text[start:at].strip():
                yield part
            start = at + 1
        elif text[at] == "=" and "=" not in text[start:at]:
            at = _end_of_value(text, at + 1)
            continue
        at += 1


def _end_of_value(text: str, start: int) -> int:
    """Where the value ends that starts there: at the end of a value in JSON if a comma or nothing follows it."""
    begin = start + len(text[start:]) - len(text[start:].lstrip())
    try:
        _, end = _JSON.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return start
    rest = text[end:].lstrip()
    return end if not rest or rest.startswith(",") else start


def _value(text: str) -> Any:
    """A value as it is written in JSON: a number, `true`, `false` or `null`; anything else is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _written(value: Any) -> str:
    """A value as `_value` reads it: a text that is no JSON, and has nothing that ends a part, stands as it is."""
    if isinstance(value, str) and _value(value) == value and not _is_special(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    """A letter in JSON, in letters that are printed."""
    return "\\u007f" if letter == "\x7f" else json.dumps(letter)[1:-1]


def _is_special(text: str) -> bool:
    """Whether a text begins as values in JSON do, or has letters that separate names of components."""
    return (
        text.strip() != text or text[:1] in '[{"' or any(letter in ",@:" or not letter.isprintable() for letter in text)
    )
