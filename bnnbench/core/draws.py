"""Draws of a posterior as plain arrays, and the progress callback of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


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
            network's `state_dict`. Torch tensors and anything that `numpy.asarray` takes are accepted.
        shared: name -> array without the two leading axes, such as buffers or the inputs of a Gaussian process.
        diagnostics: name -> number, text, or array of shape (chains,) or (chains, draws). The posterior card reads
            `divergences` (flags, or numbers of transitions), `acceptance` (probabilities), `gradients` (their number),
            `depth_cap_hits` (transitions that reached the largest tree), `seconds`, and `unfinished` (text: the reason
            why the method has not converged, if it knows one).

    Attributes:
        arrays, shared, diagnostics: as given, with arrays as contiguous numpy arrays.
        chains: the number of chains.
        per_chain: the number of draws of each chain.

    Raises `ValueError` if the arrays do not agree on (chains, draws), or if there are no draws.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        *,
        shared: Mapping[str, Any] | None = None,
        diagnostics: Mapping[str, Any] | None = None,
    ) -> None:
        self.arrays = {name: _as_numpy(array) for name, array in arrays.items()}
        self.shared = {name: _as_numpy(array) for name, array in (shared or {}).items()}
        self.diagnostics = dict(diagnostics or {})
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


def _as_numpy(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return np.ascontiguousarray(array).reshape(np.shape(array))
