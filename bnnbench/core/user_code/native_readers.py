"""Functions that open files in another language, so that Python's audit hooks do not hear of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

READERS = (("safetensors", "safe_open"), ("torch", "from_file"), ("torch.jit", "load"))
"""The modules and names of such functions. Their first argument is the file."""
Hear = Callable[[Any], None]


def announce(hear: Hear) -> None:
    """Let those of these functions whose modules are imported tell `hear` their first argument, for ever.

    Each is replaced once, in every module that has it under its name. It is not put back, since a module that is
    imported later keeps what it finds.
    """
    import safetensors  # noqa: F401 - a module that is imported later takes its function from here

    for name, attribute in READERS:
        function = getattr(sys.modules.get(name), attribute, None)
        if function is None or hasattr(function, "announces"):
            continue
        replacement = _class(function, hear) if isinstance(function, type) else _function(function, hear)
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(attribute) is function:
                setattr(module, attribute, replacement)


def _function(function: Callable[..., Any], hear: Hear) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def called(*arguments: Any, **keywords: Any) -> Any:
        hear(_first(arguments, keywords))
        return function(*arguments, **keywords)

    called.announces = True  # type: ignore[attr-defined]
    return called


def _class(original: type, hear: Hear) -> type:
    """A class whose instances are those of the original, which no class can derive from."""

    class Announcing(type):
        def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
            hear(_first(arguments, keywords))
            return original(*arguments, **keywords)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    named = {"__module__": original.__module__, "__doc__": original.__doc__, "announces": True}
    return Announcing(original.__name__, (), named)


def _first(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return next(iter((*arguments, *keywords.values())), None)
