"""Hamiltonian Monte Carlo with Pyro."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Posterior, Progress, initialise, no_progress
from bnnbench_plugins.markov_chain import Chain, HamiltonianSampler, chain_seed, gathered

if TYPE_CHECKING:
    from torch import nn


class PyroHMC(HamiltonianSampler, Posterior):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with Pyro, on any network.

    A fixed number of leapfrog steps a transition, whatever the step size adapts to. The likelihood is categorical.
    """

    revision: ClassVar[int | None] = 1

    leapfrog_steps: int = Field(default=20, ge=1)
    """Leapfrog steps of each transition."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Draws of all weights; see `markov_chain.gathered` for the diagnostics."""
        import time

        from bnnbench_plugins.pyro.sampling import run_chain

        started = time.perf_counter()
        chains = []
        for number in range(self.chains):
            chain = Chain(self, number, progress)
            own = chain_seed(seed, number)
            run_chain(self, initialise(network, own), data, own, chain)
            chains.append(chain)
        return gathered(chains, network, started)
