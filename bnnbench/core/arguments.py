"""Checks of the arguments of public functions.

Each returns the value in the form that the core uses. It raises `TypeError` for a value of another type, and
`ValueError` for a value of the right type that is out of place. A message is one line. It names the argument, what was
meant and what was given, and the remedy for some common mistakes.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bnnbench.core.radius import radius_of
from bnnbench.errors import closest
from bnnbench.plugins.described import described, in_words, plain, with_article
from bnnbench.plugins.kinds import KIND

T = TypeVar("T")
P = ParamSpec("P")

NEXT_STEP = {
    "dataset": "its load(seed) gives the data",
    "network": "its build(data) gives the module",
    "posterior": "bnnbench.fit(posterior, network, data) gives the predictive",
}
"""What makes something else of a component of a kind, where a component is given in the place of what it makes."""


def instance_of(value: Any, wanted: type[T], *, argument: str, meant: str) -> T:
    """The value, an instance of a class. Raises `TypeError` for anything else.

    Args:
        value: what was given.
        wanted: the class.
        argument: the name of the argument.
        meant: what the argument is, with an article and an example: "a posterior, such as bnnbench.posterior('sgd')".
    """
    if isinstance(value, wanted):
        return value
    raise TypeError(f"{argument} is {meant}, not {described(value)}{_remedy(value, wanted)}")


def _remedy(value: Any, wanted: type) -> str:
    """The end of a message: how to make an instance of a class from a value that is probably meant for one."""
    kind = getattr(wanted, "kind", None)
    if isinstance(value, str) and isinstance(kind, str) and kind in KIND:
        return f"; bnnbench.{kind}({value[:60]!r}) makes {with_article(kind)} from its name"
    own = getattr(value if isinstance(value, type) else type(value), "kind", None)
    if isinstance(value, type) and (issubclass(value, wanted) or (wanted is str and isinstance(own, str))):
        return f"; {value.__name__}({'...' * _needs_arguments(value)}) makes an instance"
    made = isinstance(own, str) and not isinstance(kind, str)
    return f"; {NEXT_STEP[own]}" if made and own in NEXT_STEP else ""


def _needs_arguments(cls: Any) -> bool:
    """Whether a class cannot be called without arguments, as far as its signature can be read."""
    try:
        inspect.signature(cls.__init__).bind(None)
    except (TypeError, ValueError):
        return True
    return False


def number(
    value: Any,
    *,
    argument: str,
    least: float = -math.inf,
    greatest: float = math.inf,
    meant: str = "one number",
) -> float:
    """A finite number as a Python float; numbers of numpy, torch and JAX and fractions are taken, booleans are not.

    A number of lower precision keeps its value: `numpy.float32(0.1)` is 0.10000000149011612. Raises `TypeError` if it
    is no number, `ValueError` if it is not finite, less than `least` or greater than `greatest`.
    """
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, int | float | Fraction | Decimal):
        written = isinstance(given, str) and re.fullmatch(r"[-+.\deE/ ]*\d", given.strip())
        raise TypeError(f"{argument} is {meant}, not {described(value)}{'; write it without quotes' * bool(written)}")
    try:
        result = float(given)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{argument} is a finite number, not {described(value)}")
    _check_range(result, given, argument, least, greatest)
    return result


def radius(value: Any, *, argument: str, meant: str = "one number, the radius") -> float:
    """A radius as a Python float: a number, or a text that states a number or a fraction such as `8/255`.

    Raises as `number` does, and `ValueError` for any other text.
    """
    if isinstance(value, str):
        try:
            value = radius_of(value)
        except ValueError as error:
            raise ValueError(f"{argument}: {error}, not {described(value)}") from None
    return number(value, argument=argument, least=0, meant=meant)


def path(value: Any, *, argument: str, meant: str) -> Path:
    """A path: a text, or an object such as `pathlib.Path`. Raises `TypeError` for anything else."""
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise TypeError(f"{argument} is {meant}, not {described(value)}")


def flag(value: Any, *, argument: str) -> bool:
    """True or False. Raises `TypeError` for anything else: most other values are true, whatever was meant."""
    return instance_of(plain(value), bool, argument=argument, meant="True or False")


def integer(
    value: Any,
    *,
    argument: str,
    least: float = -math.inf,
    greatest: float = math.inf,
    meant: str = "an integer",
) -> int:
    """An integer as a Python int; integers of numpy, torch and JAX are taken, booleans and floats are not.

    Raises `TypeError` if it is no integer, `ValueError` if it is less than `least` or greater than `greatest`.
    """
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{argument} is {meant}, not {described(value)}")
    _check_range(given, given, argument, least, greatest)
    return int(given)


def _check_range(value: float, given: Any, argument: str, least: float, greatest: float) -> None:
    if not least <= value <= greatest:
        bounds = [f"at least {least:g}"] * (least > -math.inf) + [f"at most {greatest:g}"] * (greatest < math.inf)
        raise ValueError(f"{argument} is {' and '.join(bounds)}, not {described(given)}")


def one_of(value: Any, known: Iterable[str], *, argument: str) -> str:
    """The value, one of the known words. Raises `ValueError`, with the word that was probably meant, for others."""
    words = list(known)
    if isinstance(value, str) and value in words:
        return str(value)
    given = plain(value)
    close = closest(str(given), words) if isinstance(given, str | int | float) else None
    # The only word there is was named already, and may be the opposite of what was meant.
    hint = f"; did you mean {close!r}?" if close and len(words) > 1 else ""
    raise ValueError(f"{argument} is {in_words(words)}, not {described(value)}{hint}")


def interval(value: Any, *, argument: str) -> tuple[float, float]:
    """Two finite numbers, the smaller one first, as Python floats.

    Raises `TypeError` if the value is no pair of numbers, `ValueError` if they are not finite or not in this order.
    """
    meant = "a pair of numbers (smallest, largest)"
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__len__") or len(value) != 2:
        raise TypeError(f"{argument} is {meant}, not {described(value)}")
    low, high = (number(part, argument=f"each end of {argument}") for part in value)
    if not low < high:
        order = f"; did you mean ({high:g}, {low:g})?" if high < low else ""
        raise ValueError(f"{argument} ({low:g}, {high:g}) are not an interval: the smaller comes first{order}")
    return low, high


def names(given: Iterable[str], known: Iterable[str], *, function: str) -> None:
    """Check the names of keyword arguments. Raises `TypeError`, with the probable name, for one that is not known."""
    words = list(known)
    for name in given:
        if name not in words:
            close = closest(name, words)
            hint = f"; did you mean {close!r}?" if close else f" ({', '.join(words)})"
            raise TypeError(f"{function} has no argument {name!r}{hint}")


def told_names(function: Callable[P, T]) -> Callable[P, T]:
    """A public function whose wrong calls are told with the names of its arguments.

    Python's own messages do not say which name was probably meant, and which arguments are given by position.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            name = function.__qualname__.removesuffix(".__call__")
            name = name[:1].lower() + name[1:]  # A method is called on an instance, not on its class.
            _tell_wrong_call(name, signature, args, kwargs)
            raise TypeError(f"{name}: {error}") from None
        return function(*args, **kwargs)

    return checked


def _tell_wrong_call(name: str, signature: inspect.Signature, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
    """Raise `TypeError` for a call with an unknown name, too many positions, or without a needed argument."""
    every = list(signature.parameters.values())
    method = every[0].name == "self"
    parameters, args = [one for one in every[method:] if one.kind is not _ANY_NAME], args[method:]
    by_position = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    if not any(one.kind is _ANY_NAME for one in every):
        names(given, [one.name for one in parameters], function=name)
    if len(args) > len(by_position):
        others = ", ".join(f"{one.name}=" for one in parameters[len(by_position) :])
        rest = f"; the others have names{': ' * bool(others)}{others}"
        raise TypeError(f"{name} takes {', '.join(by_position)} by position, not {len(args)} values{rest}")
    filled = {*by_position[: len(args)], *(one.name for one in parameters if one.name in given and not _unnamed(one))}
    missing = [one.name for one in parameters if one.default is inspect.Parameter.empty and one.name not in filled]
    if missing:
        raise TypeError(f"{name} needs {' and '.join(missing)}: {name}({', '.join(by_position)}, ...)")


def _unnamed(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.POSITIONAL_ONLY


_ANY_NAME = inspect.Parameter.VAR_KEYWORD
