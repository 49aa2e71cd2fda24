"""What a plugin is handed and must leave as it was: weights, data, and everybody's random state."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    from torch import Tensor


def traces(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Of each tensor how often torch has changed it, and a sum over its bits: cheap beside one pass, and no single
    number that is changed behind torch's back leaves it as it was."""
    return [(0 if tensor.is_inference() else tensor._version, _sum_of_bits(tensor)) for tensor in tensors]


def _sum_of_bits(tensor: Tensor) -> int:
    import torch

    # Words of 64 bits: narrower ones are summed twenty times slower, for each must be widened.
    every = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if every.storage_offset() % 8:
        every = every.clone()
    words, rest = every[: every.numel() // 8 * 8], every[every.numel() // 8 * 8 :]
    return int(words.view(torch.int64).sum()) + int(rest.sum(dtype=torch.int64))


@contextmanager
def global_randomness(name: str) -> Iterator[None]:
    """Put back the random states of torch, numpy and Python, and raise `ContractBreach` if `name` drew from them.

    Importing a library may draw from numpy's or Python's state too (JAX and scikit-learn do), so of these two it is
    only said where nothing was imported.
    """
    import numpy as np
    import torch

    states: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
        "torch": (torch.get_rng_state, torch.set_rng_state),
        "numpy": (np.random.get_state, np.random.set_state),
        "random": (random.getstate, random.setstate),
    }
    before = {library: take() for library, (take, _) in states.items()}
    imported = len(sys.modules)
    drawn = []
    try:
        yield
    finally:
        for library, (take, put) in states.items():
            if repr(_plain(take())) != repr(_plain(before[library])):
                put(before[library])
                drawn.append(library)
    if len(sys.modules) > imported:
        drawn = [library for library in drawn if library == "torch"]
    if drawn:
        raise ContractBreach(f"{name} drew from the global random state of {', '.join(drawn)}, not from its seed")


def _plain(state: Any) -> Any:
    """A random state as something whose text is all of it."""
    if hasattr(state, "tobytes"):
        return state.tobytes()
    if hasattr(state, "numpy"):
        return state.numpy().tobytes()
    return tuple(map(_plain, state)) if isinstance(state, tuple) else state
