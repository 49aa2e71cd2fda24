"""The compiled programs of this process. The module imports JAX: import it only in a fit.

To trace and lower a transition takes some tenths of a second, in each chain anew. So its program is looked up by what
decides it: the identity of the density, which is traced and lowered alone, and what an engine makes of that. Data are
arguments of programs, which therefore hold none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

MOST = 16
"""The largest number of programs that are kept. The one that was used the longest ago goes first."""
_programs: dict[Hashable, Any] = {}
"""Compiled programs by what decides them, in the order of their last use."""


def identified(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Callable[..., Any], str]:
    """The function compiled for arguments of these shapes, and its identity.

    The identity is the sha256 of the lowered text, constants included. So two networks have one exactly if they compute
    the same. That of a function with the gradient of a density is one of the density.
    """
    lowered = jax.jit(function).lower(*arguments)
    identity = _checksum(lowered)
    # The text has no names: layers that are called otherwise compute the same, from other arguments.
    return _kept((identity, jax.tree.structure(arguments)), lowered.compile), identity


def identity(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """The identity of a function that is not compiled. Arguments may be shapes (`jax.ShapeDtypeStruct`)."""
    return _checksum(jax.jit(function).lower(*arguments))


def compiled(function: Callable[..., Any], arguments: tuple[Any, ...], *decided_by: Hashable) -> Callable[..., Any]:
    """The function compiled for arguments of these shapes; it is traced only if it is not among the programs.

    Args:
        function: what is compiled.
        arguments: examples of its arguments.
        decided_by: everything that decides what the function computes, such as the identity of the density.
    """
    leaves, structure = jax.tree.flatten(arguments)
    shapes = tuple((np.shape(leaf), np.dtype(leaf.dtype)) for leaf in leaves)
    return _kept((decided_by, structure, shapes), lambda: jax.jit(function).lower(*arguments).compile())


def _checksum(lowered: Any) -> str:
    return hashlib.sha256(lowered.as_text().encode()).hexdigest()


def _kept(decided_by: Hashable, make: Callable[[], Any]) -> Any:
    """The program with this key, for JAX's device and precision of now; `make()` makes it if it is not kept."""
    key = (decided_by, str(jax.config.jax_default_device), jax.config.jax_default_matmul_precision)
    program = _programs.pop(key, None) or make()
    _programs[key] = program
    while len(_programs) > MOST:
        _programs.pop(next(iter(_programs)), None)
    return program
