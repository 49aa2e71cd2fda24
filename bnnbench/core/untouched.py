"""What a plugin is handed and must leave as it was: weights, data, and what all code of a process shares."""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def traces(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Of each tensor how often torch has changed it, and a sum over its bits and their places: cheap beside one pass,
    and nothing that is changed behind torch's back leaves it as it was."""
    return [(0 if tensor.is_inference() else tensor._version, _sum_of_bits(tensor)) for tensor in tensors]


WORDS = 2**17
"""Words of 64 bits that are summed at a time: they stay in the cache."""


@functools.cache
def _factors(device: torch.device) -> Tensor:
    """An odd factor for each place of a word, so that words which change places change the sum."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return (torch.randint(-(2**62), 2**62, (WORDS,), generator=generator) * 2 + 1).to(device)


def _sum_of_bits(tensor: Tensor) -> int:
    import torch

    every = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if every.storage_offset() % 8:
        every = every.clone()
    words, rest = every[: every.numel() // 8 * 8].view(torch.int64), every[every.numel() // 8 * 8 :]
    total, factors = 0, _factors(words.device)
    for number, part in enumerate((*words.split(WORDS), rest.to(torch.int64))):
        total += (2 * number + 1) * int((part * factors[: len(part)]).sum())
    return total % 2**64


@contextmanager
def global_state(name: str) -> Iterator[None]:
    """Put back what all code of a process shares: the random states of torch, numpy and Python, and the settings of
    torch and JAX. Raises `ContractBreach` if `name` drew from the ones or changed the others.

    Importing a library may draw from numpy's or Python's state too (JAX and scikit-learn do), so of these two it is
    only said where nothing was imported.
    """
    before = {what: (take(), put) for what, (take, put) in _shared_by_all().items()}
    imported = len(sys.modules)
    changed = []
    try:
        yield
    finally:
        for what, (take, put) in _shared_by_all().items():
            if what in before and repr(_plain(take())) != repr(_plain(before[what][0])):
                put(before[what][0])
                changed.append(what)
    if len(sys.modules) > imported:
        changed = [what for what in changed if what not in _DRAWN_FROM_BY_IMPORTS]
    if changed:
        drawn = [what for what in changed if what.startswith(_RANDOM)]
        told = f"drew from {drawn[0]}, not from its seed" if drawn else f"changed {', '.join(changed)} for everybody"
        raise ContractBreach(f"{name} {told}")


_RANDOM = "the global random state of "
_DRAWN_FROM_BY_IMPORTS = (f"{_RANDOM}numpy", f"{_RANDOM}random")


def _shared_by_all() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """How to take and to put back each thing that is shared; JAX's only where it has been imported."""
    import numpy as np
    import torch

    found: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
        f"{_RANDOM}torch": (torch.get_rng_state, torch.set_rng_state),
        f"{_RANDOM}numpy": (np.random.get_state, np.random.set_state),
        f"{_RANDOM}random": (random.getstate, random.setstate),
        "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
        "torch's threads": (torch.get_num_threads, torch.set_num_threads),
        "torch's matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "torch's determinism": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        "the working directory": (os.getcwd, os.chdir),
    }
    if "jax" in sys.modules:
        jax = sys.modules["jax"]
        for setting in ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_disable_jit"):
            found[f"JAX's {setting}"] = (
                functools.partial(getattr, jax.config, setting),
                functools.partial(jax.config.update, setting),
            )
    return found


def _plain(state: Any) -> Any:
    """A random state as something whose text is all of it."""
    if hasattr(state, "tobytes"):
        return state.tobytes()
    if hasattr(state, "numpy"):
        return state.numpy().tobytes()
    return tuple(map(_plain, state)) if isinstance(state, tuple) else state
