"""Values in messages: what was given, in a few words, and what pydantic refuses, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from bnnbench.errors import closest, one_line
from bnnbench.plugins.kinds import KIND

LONGEST = 60
"""The largest number of characters of a value that is shown as it is written in Python."""


def plain(value: Any) -> Any:
    """A number of numpy, torch or JAX as a Python number; other values as they are.

    Such a number is a scalar, or an array without axes. Its value is kept, not its decimal digits:
    `numpy.float32(0.1)` becomes 0.10000000149011612.
    """
    if not (hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "shape", None) == ()):
        return value
    if getattr(value, "mask", False):
        return value  # numpy gives 0 for a masked value.
    try:
        found = value.item()
    except (RuntimeError, TypeError, ValueError):
        return value  # A tensor without storage, or a value that JAX traces.
    return float(found) if hasattr(found, "dtype") else found  # A long double gives itself.


def with_article(noun: str) -> str:
    """A noun with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def counted(number: int, what: str) -> str:
    """A number with a noun, in the plural unless the number is one: `1 fit`, `2 fits`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def described(value: Any) -> str:
    """A value in a few words.

    Numbers, texts and short containers are written as in Python, arrays have their shape, and others their type.
    """
    value = plain(value)
    kind = getattr(type(value), "kind", None)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(kind, str) and kind in KIND:
        return f"{with_article(kind)} ({type(value).__name__})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{with_article(type(value).__name__.replace('ndarray', 'array'))} of shape {tuple(value.shape)}"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return one_line(repr(value), LONGEST)
    if isinstance(value, list | tuple | dict | set | frozenset):
        items = value.values() if isinstance(value, dict) else value
        if all(item is None or isinstance(plain(item), bool | int | float | str) for item in items):
            # Numbers of numpy would be written as `np.float64(0.1)`.
            written = repr(value if isinstance(value, dict) else type(value)(map(plain, value)))
            if len(written) <= LONGEST:
                return one_line(written)
        return f"{with_article(type(value).__name__)} of {len(value)}"
    return with_article(type(value).__name__)


def in_words(choices: Sequence[str]) -> str:
    """Choices as a phrase: `'a', 'b' or 'c'`."""
    quoted = [repr(choice) for choice in choices]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def refusals(error: ValidationError, parameters: Sequence[str]) -> str:
    """One line about all values that pydantic refused, for a class with these parameters."""
    return "; ".join(_refusal(detail, parameters) for detail in details_of(error))


def details_of(error: ValidationError) -> list[Any]:
    """Pydantic's details of all values that it refused, each value once.

    Items that were refused are not counted, so that pydantic calls their tuple too short as well.
    """
    details = error.errors(include_url=False)
    wrong_items = {detail["loc"][:-1] for detail in details}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in wrong_items]


def _refusal(detail: Any, parameters: Sequence[str]) -> str:
    """A short message about a wrong parameter, from one of pydantic's error details."""
    where = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return no_parameter(where, parameters)
    message = one_line(str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, "))
    if detail["type"] in ("model_type", "is_instance_of"):
        context = detail["ctx"]
        message = f"an instance of {context.get('class_name') or context.get('class')} is meant"
    told = f"{where}: {message[:1].lower()}{message[1:]}" if where else message
    if detail["type"] in ("value_error", "assertion_error"):
        return told
    return f"{told}, not {described(detail['input'])}{_meant(detail)}"


def no_parameter(name: str, parameters: Sequence[str]) -> str:
    """The message that there is no parameter of a name, with what was probably meant."""
    close = closest(name, parameters)
    hint = f"; did you mean '{close}'?" if close else f" ({', '.join(parameters) or 'there are none'})"
    return f"no parameter '{name}'{hint}"


def _meant(detail: Any) -> str:
    """The end of a message about a wrong value: what was probably meant."""
    given = detail["input"]
    if detail["type"] in ("tuple_type", "list_type") and isinstance(given, int | float):
        return f"; did you mean ({given!r},)?"
    if isinstance(given, type) and detail["type"] in ("model_type", "is_instance_of"):
        return f"; {given.__name__}() makes an instance"
    if detail["type"] == "literal_error" and isinstance(given, str):
        words = [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        close = closest(given, words)
        return f"; did you mean '{close}'?" if close else ""
    return ""
