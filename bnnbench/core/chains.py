"""Posteriors that are sampled by several chains, which know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench.core.posterior import Draws, Posterior, Progress, no_progress

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class IndependentChains(Posterior):
    """Inherited by methods that run several chains: they write `fit_chain` in the place of `fit`.

    `bnnbench.fit` runs the chains one after another, a benchmarks file each as a task of its own: they fill cores that
    are idle, and a run that is interrupted keeps those that were finished. Either way the draws are the same.
    """

    chains: int = Field(default=1, ge=1, le=1000)
    """Chains, each from a start of its own; `draws` are shared out evenly."""

    @model_validator(mode="after")
    def _chains_share_the_draws(self) -> Self:
        if self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    @property
    def per_chain(self) -> int:
        """Draws kept of each chain."""
        return self.draws // self.chains

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of one chain, 0 to chains - 1: arrays (1, draws / chains, *weight).

        The seed is that of the fit, the same for all chains: what differs between them must come from `chain` as well.
        `shared` must not. The rest is as in `Posterior.fit`.
        """
        raise NotImplementedError

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Draws of all chains, one after another."""

        def of(chain: int) -> Progress:
            return lambda done, total, note="": progress(chain * total + done, self.chains * total, note)

        return joined(
            [self.fit_chain(network, data, seed=seed, chain=chain, progress=of(chain)) for chain in range(self.chains)]
        )


def joined(chains: Sequence[Draws]) -> Draws:
    """The draws of several chains as one.

    Diagnostics that are arrays or lists are put one behind another along their first axis (chains), numbers are added
    up, and each text is kept once. Raises `ValueError` if the chains do not hold the same names, shapes, shared arrays
    and diagnostics.
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
        diagnostics={name: _put_together([chain.diagnostics[name] for chain in chains]) for name in first.diagnostics},
    )


def _put_together(values: list[Any]) -> Any:
    if all(isinstance(value, str) for value in values):
        return "; ".join(dict.fromkeys(values))
    arrays = [_as_array(value) for value in values]
    return np.concatenate(arrays) if arrays[0].ndim else sum(values)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    # What is not finite is written to a file as null, and read as None.
    return np.asarray(value, float) if array.dtype == object else array
