"""What a task or a call has asked of the device that computes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Computing:
    """What is asked for.

    Attributes:
        device: a torch device as text, or `auto` for CUDA where there is one.
        tf32: whether a CUDA device may round the inputs of products and convolutions to TF32.
    """

    device: str = "auto"
    tf32: bool = False


_BY_DEFAULT = Computing()
_asked: ContextVar[Computing] = ContextVar("bnnbench computing")


def asked_device() -> str:
    """The device that the running fit or task has asked for, as text: `auto`, `cpu`, `cuda` or `cuda:N`."""
    return _asked.get(_BY_DEFAULT).device


def tf32_allowed() -> bool:
    """Whether products and convolutions of float32 may be in TF32 here: asked for, and there is a CUDA device."""
    if not _asked.get(_BY_DEFAULT).tf32:
        return False
    import torch

    return torch.cuda.is_available()


@contextlib.contextmanager
def asking(**changes: Any) -> Iterator[None]:
    """A context in which other fields of `Computing` are asked for; the others stay."""
    token = _asked.set(replace(_asked.get(_BY_DEFAULT), **changes))
    try:
        yield
    finally:
        _asked.reset(token)
