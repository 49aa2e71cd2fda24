"""Components as the command line names them: what `use` names, with parameters after `@`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.component_use import used
from bnnbench.errors import ParameterError
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registry import made


def named(kind: str, text: str) -> Component:
    """The component of a kind that a text names, such as `selective@score=entropy,share=0.8`.

    Before `@` stands what `use` in a benchmarks file may be. Raises `UnknownComponent`, `PluginError` and
    `ParameterError`, on one line.
    """
    use, _, written = text.partition("@")
    parameters = {}
    for part in filter(None, (part.strip() for part in written.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise ParameterError(f"{kind} {use}: '{part}' is no parameter; write NAME=VALUE after the @")
        parameters[name] = _value(value)
    model, parameters = used(kind, use, Path(), parameters)
    component: Component = made(model, parameters, f"{kind} {use}")
    return component


def name_of(component: Component) -> str:
    """The registered name of a component, or that of its class, with the parameters that are not the defaults."""
    recipe = registry().recipe(component.kind, component)
    name = type(component).__name__ if recipe is None else recipe["use"].rpartition(":")[2]
    fields, values = type(component).model_fields, component.model_dump(mode="json")
    changed = [f"{one}={value}" for one, value in values.items() if getattr(component, one) != fields[one].default]
    return f"{name}@{','.join(changed)}" if changed else name


def _value(text: str) -> Any:
    """A value as it is written in JSON: a number, `true`, `false` or `null`; anything else is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
