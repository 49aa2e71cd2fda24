"""Where in a user's own code an error was raised: the file and line, and the layer of the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from bnnbench.core.user_code.project import is_installed, is_own


def place_of(error: BaseException) -> str:
    """The place of an error, such as `nets.py:12, layer '2' (Linear)`; what is not known is left out.

    The line is the innermost one of a file that is neither installed nor bnnbench's own.
    """
    line, layers = "", list[Any]()
    for traceback in _tracebacks(error):
        for frame, number in _frames(traceback):
            name = frame.f_code.co_filename
            path = Path(name)
            if not name.startswith("<") and not is_own(path) and not is_installed(path):
                line = f"{name}:{number}"
            if _is_module(frame.f_locals.get("self")):
                layers.append(frame.f_locals["self"])
    return ", ".join(filter(None, [line, _layer(layers)]))


def _tracebacks(error: BaseException) -> Iterator[TracebackType | None]:
    """The traceback of an error, and then those of its causes."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current.__traceback__
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[Any, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_module(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _layer(layers: list[Any]) -> str:
    """The name of the innermost layer that was being called, seen from the outermost; empty if they are the same."""
    if not layers or layers[0] is layers[-1]:
        return ""
    for name, layer in layers[0].named_modules():
        if layer is layers[-1]:
            return f"layer '{name}' ({type(layer).__name__})" if name else ""
    return ""
