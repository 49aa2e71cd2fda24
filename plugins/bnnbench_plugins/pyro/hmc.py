"""Hamiltonian Monte Carlo with Pyro."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench.authoring import Chain, HamiltonianSampler

if TYPE_CHECKING:
    from torch import nn


class PyroHMC(HamiltonianSampler):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with Pyro, on any network.

    The number of leapfrog steps per transition is fixed; it does not change as the step size adapts. The likelihood is
    categorical.
    """

    revision: ClassVar[int | None] = 3

    leapfrog_steps: int = Field(default=20, ge=1, le=100_000)
    """Leapfrog steps of each transition."""

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of one chain: arrays (1, draws / chains, *weight), with the diagnostics of `authoring.Chain.draws`.

        Raises `Incompatible` for a network without parameters.
        """
        from bnnbench_plugins.pyro.sampling import sample

        return sample(Chain(self, chain, seed, progress), self.leapfrog_steps, network, data)
