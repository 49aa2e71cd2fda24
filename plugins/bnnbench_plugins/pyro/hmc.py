"""Hamiltonian Monte Carlo with Pyro."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Posterior, Progress, no_progress
from bnnbench_plugins.markov_chain import Chain, HamiltonianSampler, chain_seeds, gathered
from bnnbench_plugins.template import fresh_network

if TYPE_CHECKING:
    from torch import nn


class PyroHMC(HamiltonianSampler, Posterior):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with Pyro, on any network.

    A fixed number of leapfrog steps a transition, whatever the step size adapts to. The likelihood is categorical.
    """

    revision: ClassVar[int | None] = 2

    leapfrog_steps: int = Field(default=20, ge=1, le=100_000)
    """Leapfrog steps of each transition."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Draws of all weights; see `markov_chain.gathered` for the diagnostics.

        Raises `Incompatible` for a network without parameters.
        """
        import time

        from bnnbench_plugins.pyro.sampling import run_chain

        started = time.perf_counter()
        # All chains share the buffers that the seed itself gives; their weights start from seeds of their own.
        sampled = fresh_network(network, seed)
        chains = []
        for number in range(self.chains):
            chain = Chain(self, number, progress)
            start, sampling = chain_seeds(seed, number)
            weights = dict(fresh_network(network, start).named_parameters())
            run_chain(self, sampled, weights, data, sampling, chain)
            chains.append(chain)
        return gathered(chains, sampled, started)
