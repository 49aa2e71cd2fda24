"""The random states and settings that all code of a process shares, and how each is read and set.

Reading them initialises neither CUDA nor JAX.
"""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from bnnbench.core.backend_flags import CUDA_FLAGS, read, write
from bnnbench.core.standard_settings import matmul_precision, set_matmul_precision


class Shared(NamedTuple):
    """A state or setting: `take` reads it, and `put` sets it to what `take` has returned."""

    take: Callable[[], Any]
    put: Callable[[Any], object]
    of_thread: bool = False
    """Whether each thread has its own, so that no other thread can have changed it."""


def random_states() -> dict[str, Shared]:
    """The global random states, by the library that draws from them; CUDA's only once CUDA has been initialised."""
    import numpy as np
    import torch

    found = {
        "torch": Shared(torch.get_rng_state, torch.set_rng_state),
        "numpy": Shared(functools.partial(np.random.get_state, legacy=False), np.random.set_state),
        "random": Shared(random.getstate, random.setstate),
    }
    if torch.cuda.is_initialized():
        found["torch.cuda"] = Shared(torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
    return found


def settings() -> dict[str, Shared]:
    """The settings of torch, of JAX where it has been imported, and the working directory."""
    import torch

    found = {
        "torch's default dtype": Shared(torch.get_default_dtype, torch.set_default_dtype),
        "torch's gradient mode": Shared(torch.is_grad_enabled, torch.set_grad_enabled, of_thread=True),
        # OpenMP, which torch's builds use, keeps a number for each thread.
        "torch's threads": Shared(torch.get_num_threads, torch.set_num_threads, of_thread=True),
        "torch's determinism": Shared(_determinism, _put_determinism),
        "the working directory": Shared(os.getcwd, os.chdir),
    }
    for flag in CUDA_FLAGS:
        found[f"torch.backends.{flag}"] = Shared(functools.partial(read, flag), functools.partial(write, flag))
    # After `allow_tf32`, for setting that changes this one too, and knows but two of its three values.
    found["torch's matmul precision"] = Shared(matmul_precision, set_matmul_precision)
    if "jax" in sys.modules:
        jax = sys.modules["jax"]
        for setting in ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_disable_jit"):
            found[f"JAX's {setting}"] = Shared(
                functools.partial(getattr, jax.config, setting), functools.partial(jax.config.update, setting)
            )
    return found


def _determinism() -> tuple[bool, bool]:
    import torch

    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _put_determinism(value: tuple[bool, bool]) -> None:
    import torch

    enabled, warn_only = value
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
