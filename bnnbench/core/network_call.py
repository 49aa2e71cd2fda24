"""Make a network from what a name in a user's code stands for: a class, a function, a module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bnnbench.errors import NetworkNotMade, closest
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data

SHAPES = ("shape", "in_shape", "input_shape")
"""The arguments that are given the shape of one input, a tuple."""
COUNTS = ("classes", "num_classes", "n_classes")
"""The arguments that are given the number of classes."""

MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""The kinds of parameters that take any number of arguments."""


def network_from(target: Any, where: str, given: Mapping[str, Any], data: Data) -> nn.Module:
    """The module that `target` gives for these arguments; `where` names it in messages.

    A class or function is called with the arguments as keywords, and with those of `SHAPES` and `COUNTS` that its
    signature names, unless they are given. A module is taken as it is. What the call gives may also be a network
    component. Raises `NetworkNotMade` if arguments are missing or unknown, or if no module comes out; errors that the
    call raises are passed on.
    """
    from torch import nn

    from bnnbench.core.network import Network

    if not isinstance(target, nn.Module | Network):
        if not callable(target):
            raise NetworkNotMade(f"{where} is {described(target)}, not a torch.nn.Module or a function that gives one")
        positional, keywords = _arguments(target, where, given, data)
        made = target(*positional, **keywords)
    elif given:
        raise NetworkNotMade(f"{where} is {described(target)}, which takes no arguments ({', '.join(given)})")
    else:
        made = target
    if isinstance(made, Network):
        made = made.build(data)
    if not isinstance(made, nn.Module):
        gave = "is not" if isinstance(target, type) else f"gave {described(made)}, not"
        raise NetworkNotMade(f"{where} {gave} a torch.nn.Module")
    return made


def _arguments(target: Any, where: str, given: Mapping[str, Any], data: Data) -> tuple[list[Any], dict[str, Any]]:
    """The positional and the keyword arguments of a call."""
    parameters, bound = _parameters(target), _bound(target)
    if parameters is None:
        return [], dict(given)
    known = dict.fromkeys(SHAPES, data.shape) | dict.fromkeys(COUNTS, data.classes)
    arguments = {name: value for name, value in known.items() if name in parameters and name not in bound} | dict(given)
    _check(parameters.values(), arguments, f"{where}{_line_of(target)}")
    first = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_ONLY and name in arguments]
    return [arguments.pop(name) for name in first], arguments


def _parameters(target: Any) -> dict[str, inspect.Parameter] | None:
    """The parameters of what is called, by name; None for something built in that does not tell them."""
    try:
        found = dict(inspect.signature(target).parameters)
        if isinstance(target, type) and not any(one.kind not in MANY for one in found.values()):
            # A class may pass everything on in its `__new__`, and name its arguments in its `__init__`.
            _, *named = inspect.signature(_initialiser(target)).parameters.items()
            found = dict(named)
    except (TypeError, ValueError):
        return None
    return found


def _initialiser(cls: type) -> Any:
    return cls.__init__  # type: ignore[misc]


def _check(parameters: Iterable[inspect.Parameter], arguments: Mapping[str, Any], where: str) -> None:
    """Raise `NetworkNotMade` if arguments are missing or unknown."""
    named = {one.name: one for one in parameters if one.kind not in MANY}
    missing = [name for name, one in named.items() if one.default is one.empty and name not in arguments]
    unknown = [name for name in arguments if name not in named]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        unknown = []
    if unknown:
        close = closest(unknown[0], named)
        hint = f"; did you mean '{close}'?" if close else f" ({', '.join(named) or 'it takes none'})"
        raise NetworkNotMade(f"{where} has no argument '{unknown[0]}'{hint}")
    if missing:
        which = ", ".join(f"'{name}'" for name in missing)
        raise NetworkNotMade(f"{where} needs the argument{'s' * (len(missing) > 1)} {which}")


def _bound(target: Any) -> set[str]:
    """The keywords that a partial object has bound already; its signature shows them as arguments with defaults."""
    bound: set[str] = set()
    while isinstance(target, functools.partial):
        bound |= target.keywords.keys()
        target = target.func
    return bound


def _line_of(target: Any) -> str:
    """The line that a function, or the `__init__` of a class, begins in, for a message; empty if it is not known."""
    while isinstance(target, functools.partial):
        target = target.func
    function = inspect.unwrap(_initialiser(target) if isinstance(target, type) else target)
    code = getattr(function, "__code__", None)
    return f" (line {code.co_firstlineno})" if code else ""
