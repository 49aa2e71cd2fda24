"""Posteriors: inference methods that fit draws of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from pydantic import Field

from bnnbench.core.component import Component

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive


class Progress(Protocol):
    """Called with the work done and its total; rate-limited, and calls may be lost."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def no_progress(done: int, total: int, note: str = "") -> None:
    """A `Progress` that shows nothing."""


class Draws:
    """Weights drawn from a posterior: what every inference method and every attack share.

    Args:
        arrays: name -> array of shape (chains, draws, *weight); for the default predictive the names are those of the
            network's `state_dict`. Anything `numpy.asarray` takes, and torch tensors.
        shared: name -> array without the two leading axes (buffers, a Gaussian process's inputs).
        diagnostics: name -> number, text, or array of shape (chains,) or (chains, draws). Some names are understood:
            `divergences` (flags, or counts of transitions), `acceptance`, `gradients`, `depth_cap_hits` (transitions
            that took the deepest tree allowed), `seconds`, and `unfinished`, the reason why the method knows that it
            has not converged.

    Raises `ValueError` if the arrays do not agree on (chains, draws) or there are none.
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
        """The arrays with chains one after another: (S, *weight)."""
        return {name: array.reshape(len(self), *array.shape[2:]) for name, array in self.arrays.items()}


def _as_numpy(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return np.ascontiguousarray(array).reshape(np.shape(array))


class Posterior(Component):
    """An inference method: parameters that fit a network's weights to data."""

    kind: ClassVar[str] = "posterior"
    independent_draws: ClassVar[bool] = False
    """True for methods whose draws are independent given the fit (variational, ensembles): no R-hat, no mixing."""
    draws_at_most: ClassVar[bool] = False
    """True where `draws` is a bound that a fit need not reach; elsewhere fewer draws are a breach."""

    draws: int = Field(default=50, ge=1, le=1_000_000)
    """Draws kept after thinning, over all chains."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Draws from the posterior of the network's weights given the training data.

        The network is a template in eval mode: its weights are neither used nor changed, and the seed (uint32) decides
        everything (`initialise`). Test data must not be looked at, and no global random state touched.
        """
        raise NotImplementedError

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The ensemble of these draws. Override only where a draw is not a set of the network's weights."""
        from bnnbench.core.predictive import Predictive

        return Predictive(network, draws)


class NormalPrior(Component):
    """Mixed into every Bayesian method: one prior for all."""

    prior_scale: float = Field(default=1.0, gt=0)
    """Standard deviation of the independent zero-mean normal prior on every weight and bias."""
