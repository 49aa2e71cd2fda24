"""The base class of posteriors that sample several independent chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench.core.draws import Draws, Progress, no_progress
from bnnbench.core.posterior import Posterior

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class IndependentChains(Posterior):
    """A posterior that samples several independent chains. An author writes `fit_chain` instead of `fit`.

    `bnnbench.fit` samples the chains one after another. In a run of a benchmarks file, each chain is a task of its own:
    chains run in parallel, and an interrupted run keeps the finished ones. The draws are the same either way.
    """

    chains: int = Field(default=1, ge=1, le=1000)
    """Number of chains, each with initial weights of its own. Each keeps the same number of draws."""

    @model_validator(mode="after")
    def _chains_share_the_draws(self) -> Self:
        if self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    @property
    def per_chain(self) -> int:
        """The number of draws that each chain keeps."""
        return self.draws // self.chains

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """The draws of one chain: arrays (1, draws / chains, *weight).

        `chain` is the number of the chain, from 0. `seed` is the seed of the fit, the same for all chains: derive the
        random numbers of a chain from both (`authoring.chain_seeds`). The `shared` arrays must be the same for all
        chains. The other arguments and rules are those of `Posterior.fit`.
        """
        raise NotImplementedError

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The draws of all chains, which are sampled one after another: arrays (chains, draws / chains, *weight)."""

        def progress_of(chain: int) -> Progress:
            return lambda done, total, note="": progress(chain * total + done, self.chains * total, note)

        return joined(
            [
                self.fit_chain(network, data, seed=seed, chain=chain, progress=progress_of(chain))
                for chain in range(self.chains)
            ]
        )


def joined(chains: Sequence[Draws]) -> Draws:
    """One `Draws` with the draws of several chains: arrays are concatenated along their first axis (chains).

    Diagnostics that are arrays or lists are concatenated along their first axis, numbers are added, and texts are
    joined, each different one once. Raises `ValueError` if the chains differ in names, shapes or shared arrays, or in
    the names of their diagnostics.
    """
    first = chains[0]
    for other in chains[1:]:
        for part in ("arrays", "shared", "diagnostics"):
            if getattr(other, part).keys() != getattr(first, part).keys():
                raise ValueError(f"the chains do not have the same {part}")
        if not all(np.array_equal(array, other.shared[name]) for name, array in first.shared.items()):
            raise ValueError("the chains do not have the same shared arrays")
    return Draws(
        {name: np.concatenate([chain.arrays[name] for chain in chains]) for name in first.arrays},
        shared=first.shared,
        diagnostics={name: _combined([chain.diagnostics[name] for chain in chains]) for name in first.diagnostics},
    )


def _combined(values: list[Any]) -> Any:
    """One diagnostic of all chains, from its value in each."""
    if all(isinstance(value, str) for value in values):
        return "; ".join(dict.fromkeys(values))
    arrays = [_as_array(value) for value in values]
    return np.concatenate(arrays) if arrays[0].ndim else sum(values)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    # Numbers that are not finite are null in a file of draws, and None when it is read.
    return np.asarray(value, float) if array.dtype == object else array
