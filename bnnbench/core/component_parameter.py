"""Parameters that are components themselves: an attack's objective, or the attacks that an attack is made of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from bnnbench.core.component import Component
from bnnbench.core.component_file import named_file
from bnnbench.core.component_use import used
from bnnbench.core.user_code.local_modules import code_behind, local_name
from bnnbench.errors import PluginError, UnknownComponent
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registry import made


def component_parameter(kind: str) -> tuple[Any, Any, Any]:
    """The annotations of a field that takes a component of one kind.

    Use: `ObjectiveParameter = Annotated[Objective, *component_parameter("objective")]`.

    The field accepts an instance, a registered name, or a mapping with `use` and parameters. It is written to JSON as
    such a mapping. In a benchmarks file, and only there, a name is first that of a label of the file, and
    `file.py:Name` names a class of a file: the files of draws that `bnnbench.load` reads hold parameters too, and must
    not run code.
    """

    def resolved(value: Any, info: ValidationInfo) -> Any:
        meant = ""
        if isinstance(value, str):
            labelled = (info.context or {}).get("labelled")
            if labelled and (component := labelled(kind, value)) is not None:
                return component
            meant = _label_like(kind, value, info.context or {})
            value = {"use": value}
        if not isinstance(value, dict):
            return value
        parameters = dict(value)
        use = parameters.pop("use", None)
        if not isinstance(use, str):
            raise ValueError(f"one {kind} is a name, or a mapping with 'use' and its parameters")
        try:
            return _made(kind, use, parameters, info.context or {})
        except UnknownComponent as error:
            raise ValueError(meant or str(error)) from error

    def written(component: Component) -> dict[str, Any]:
        code = code_behind(type(component))
        if code is not None:
            # Without the folder: what is written is compared and shown on other computers.
            return {"use": f"{code.path.name}:{local_name(type(component))}", **component.model_dump(mode="json")}
        recipe = registry().recipe(kind, component)
        return {"use": recipe["use"], **recipe["parameters"]} if recipe else component.model_dump(mode="json")

    return BeforeValidator(resolved), PlainSerializer(written), WithJsonSchema({"type": ["string", "object"]})


def _label_like(kind: str, name: str, context: Mapping[str, Any]) -> str:
    """The message that a label of the benchmarks file may be meant by a name; empty if none is like it."""
    labels = context.get("labels")
    close = difflib.get_close_matches(name, labels(kind), 1) if labels else []
    return f"no {kind} named '{name}'; did you mean '{close[0]}', a label of this file?" if close else ""


def _made(kind: str, use: str, parameters: dict[str, Any], context: Mapping[str, Any]) -> Any:
    """The component of this kind, class and parameters.

    The context tells the folder of the benchmarks file and finds its labels; it is empty elsewhere. Raises
    `UnknownComponent` if there is no such component, `ValueError` for other mistakes.
    """
    folder = context.get("folder")
    try:
        if folder:
            model, parameters = used(kind, use, Path(folder), parameters)
        elif named_file(use, ""):
            raise ValueError(f"only a benchmarks file may name a class of a file: give an instance of {use}")
        else:
            model = registry().find(kind, use).load()
    except PluginError as error:
        if ":" in use:
            raise ValueError(str(error)) from error
        raise
    return made(model, parameters, f"{kind} {use}", context)
