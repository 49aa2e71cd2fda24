"""The messages for values that pydantic refuses, in the words of a benchmarks file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from bnnbench.core.called_network import CalledNetwork
from bnnbench.core.radius import FRACTION
from bnnbench.errors import clean
from bnnbench.matrix.source import KeyPath, Source, did_you_mean, dotted, shown
from bnnbench.plugins.described import details_of
from bnnbench.plugins.kinds import KINDS


def note_problems(
    source: Source,
    path: KeyPath,
    error: ValidationError,
    model: type[BaseModel],
    unknown: str,
    swept: dict[str, Any] | None = None,
) -> None:
    """Note in `source` a problem for each value below `path` that pydantic has refused.

    `unknown` begins the message for a key that `model` does not have. Values of `swept` stand below `sweep` in the
    file.
    """
    for detail in details_of(error):
        location = tuple(part for part in detail["loc"] if isinstance(part, str | int))
        if issubclass(model, CalledNetwork) and location[:1] == ("arguments",):
            # The file has arguments among the parameters, and only their name: the rest of the location is pydantic's.
            location = location[1:2]
        inside = ("sweep",) if swept and location and location[0] in swept else ()
        where = (*path, *inside, *location)
        if detail["type"] == "extra_forbidden":
            known = _fields_at(model, location)
            subject = unknown if len(location) == 1 else f"{dotted(where[:-1])} has no key"
            text = f"{subject} '{clean(str(location[-1]))}'{did_you_mean(str(location[-1]), known)}"
            source.problem(where, text, at_key=True)
            continue
        message = _message(detail)
        plain = location and not isinstance(detail["input"], dict | list | tuple)
        value = f" is {shown(detail['input'])}" if plain else ""
        source.problem(where, f"{dotted((*path, *location))}{value}: {clean(message)}")


_MEANT = {
    "model_type": "a mapping is meant",
    "dict_type": "a mapping is meant",
    "string_type": "a text is meant",
    "too_short": "a list of at least {min_length} is meant, not of {actual_length}",
    "missing": "it is needed, and has no default",
}
"""What is meant in YAML, by the type of pydantic's error."""
_COMPONENTS = {kind.base.partition(":")[2] for kind in KINDS}
"""The names of the base classes of components, which a name may stand for."""


def _message(detail: Any) -> str:
    """The message for one of pydantic's error details, in terms of YAML rather than of Python."""
    given = detail["input"]
    if detail["type"] in ("list_type", "tuple_type"):
        example = given if isinstance(given, str) and re.match(FRACTION, given) else shown(given)
        single = isinstance(given, int | float) or example is given
        return f"a list is meant, such as [{example}]" if single else "a list is meant"
    if detail["type"] == "model_type" and detail["ctx"]["class_name"] in _COMPONENTS:
        return "a name or a mapping is meant"
    if detail["type"] in _MEANT:
        return _MEANT[detail["type"]].format(**detail.get("ctx", {}))
    fraction = re.fullmatch(r"(\d{1,15})/([1-9]\d{0,14})", given) if isinstance(given, str) else None
    if fraction:
        return f"YAML has no fractions: write {int(fraction[1]) / int(fraction[2]):.4g}"
    if detail["type"] == "value_error" and not str(detail["ctx"]["error"]):
        return type(detail["ctx"]["error"]).__name__
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _fields_at(model: Any, location: KeyPath) -> list[str]:
    """The field names of the model at a location, where the last part of the location is an unknown name."""
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation if isinstance(part, str) else model
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        candidates += [inner for candidate in candidates for inner in getattr(candidate, "__args__", ())]
        model = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields)
