"""Functions that open files in another language, so that Python's audit hooks do not hear of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

READERS = (
    ("safetensors", "safe_open"),
    ("safetensors.numpy", "safe_open"),
    ("safetensors.torch", "safe_open"),
    ("torch.jit", "load"),
)
"""The modules and names of such functions. Their first argument is the file."""


@contextmanager
def announced(hear: Callable[[Any], None]) -> Iterator[None]:
    """Let these functions tell `hear` their first argument while the body runs."""
    import safetensors  # noqa: F401 - a module that the body imports takes its function from here

    replaced = []
    for name, attribute in READERS:
        module = sys.modules.get(name)
        function = getattr(module, attribute, None)
        if module is not None and function is not None and not hasattr(function, "announces"):
            setattr(module, attribute, _announcing(function, hear))
            replaced.append((module, attribute, function))
    try:
        yield
    finally:
        for module, attribute, function in replaced:
            setattr(module, attribute, function)


def _announcing(function: Callable[..., Any], hear: Callable[[Any], None]) -> Callable[..., Any]:
    # A module that is imported meanwhile keeps this function: it must work for ever.
    @functools.wraps(function, updated=())
    def called(*arguments: Any, **keywords: Any) -> Any:
        hear(next(iter((*arguments, *keywords.values())), None))
        return function(*arguments, **keywords)

    called.announces = True  # type: ignore[attr-defined]
    return called
