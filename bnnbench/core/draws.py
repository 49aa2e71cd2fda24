"""Draws of a posterior as plain arrays, and the progress callback of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from bnnbench.core.arrays import array_of
from bnnbench.plugins.described import described


class Progress(Protocol):
    """A callback for the progress of a fit: `progress(done, total, note="")`.

    `done` of `total` steps are finished, and `note` is a short text. Calls are cheap: their rate is limited, and some
    may be lost.
    """

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def no_progress(done: int, total: int, note: str = "") -> None:
    """The default `Progress`, which does nothing."""


class Draws:
    """Weights that were drawn from a posterior, as numpy arrays.

    Draws connect inference methods with attacks: a posterior that was sampled in JAX can be attacked in torch, because
    its draws are plain arrays for the same network. `len(draws)` is S, the number of draws over all chains.

    Args:
        arrays: name -> array of shape (chains, draws, *weight). For the default predictive the names are those of the
            network's `state_dict`. Torch tensors and anything that `numpy.asarray` takes are accepted; bfloat16 and
            floats of 8 bits, which numpy does not have, become float32.
        shared: name -> array without the two leading axes, such as buffers or the inputs of a Gaussian process.
        diagnostics: name -> number, text, or array of shape (chains,) or (chains, draws). The posterior card reads
            `divergences` (flags, or numbers of transitions), `acceptance` (probabilities), `gradients` (their number),
            `depth_cap_hits` (transitions that reached the largest tree), `seconds`, `unfinished` (text: the reason
            why the method has not converged, if it knows one), `independent` (text: the reason why the draws are
            independent, if they are), `superchains` (the number of groups of consecutive chains that share their
            start), and the texts `start` (how chains were started), `advice` (what to change if all transitions
            diverged) and `held_fixed` (what acts otherwise in the draws than in a training).

    Attributes:
        arrays, shared, diagnostics: as given, with arrays as contiguous numpy arrays.
        chains: the number of chains.
        per_chain: the number of draws of each chain.

    Raises `ValueError` if the arrays do not agree on (chains, draws), or if there are no draws; `TypeError` if an
    argument is no mapping, or an array does not consist of real numbers.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        *,
        shared: Mapping[str, Any] | None = None,
        diagnostics: Mapping[str, Any] | None = None,
    ) -> None:
        _check_mapping(arrays, "arrays", "arrays of shape (chains, draws, *weight)")
        _check_mapping(shared or {}, "shared", "arrays that all draws share")
        _check_mapping(diagnostics or {}, "diagnostics", "numbers, texts or arrays")
        self.arrays = {name: as_numpy(array, name) for name, array in arrays.items()}
        self.shared = {name: as_numpy(array, name) for name, array in (shared or {}).items()}
        self.diagnostics = dict(diagnostics or {})
        if not self.arrays:
            raise ValueError("there are no draws: arrays is empty")
        leading = {array.shape[:2] for array in self.arrays.values() if array.ndim >= 2}
        if len(leading) != 1 or any(array.ndim < 2 for array in self.arrays.values()):
            shapes = {name: array.shape for name, array in self.arrays.items()}
            raise ValueError(f"the arrays of Draws must all lead with the same (chains, draws), got {shapes}")
        self.chains, self.per_chain = (int(size) for size in leading.pop())
        if self.chains * self.per_chain == 0:
            raise ValueError("there are no draws")

    def __len__(self) -> int:
        return self.chains * self.per_chain

    def flat(self) -> dict[str, np.ndarray]:
        """The arrays with all chains one after another: name -> array (S, *weight)."""
        return {name: array.reshape(len(self), *array.shape[2:]) for name, array in self.arrays.items()}


def as_numpy(array: Any, name: str) -> np.ndarray:
    """A tensor or anything that `array_of` takes as a contiguous array of real numbers.

    Raises `TypeError`, with the name of the array, if it is something else.
    """
    try:
        found = array_of(array, f"the draws of '{name}'")
    except ValueError as error:
        raise TypeError(str(error)) from error
    return np.ascontiguousarray(found).reshape(found.shape)


def _check_mapping(value: Any, argument: str, items: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument} of Draws is a mapping from names to {items}, not {described(value)}")
