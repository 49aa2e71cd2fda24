"""Hamiltonian Monte Carlo and the no-U-turn sampler with NumPyro."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench_plugins.markov_chain import Chain, HamiltonianSampler

if TYPE_CHECKING:
    from torch import nn


class NumPyroHMC(HamiltonianSampler):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with NumPyro, on any network that torch.fx can trace.

    A fixed number of leapfrog steps a transition, whatever the step size adapts to. The likelihood is categorical.
    Raises `Incompatible`, naming the layer, for a network with one that has no JAX form here.
    """

    revision: ClassVar[int | None] = 2

    leapfrog_steps: int = Field(default=20, ge=1, le=100_000)
    """Leapfrog steps of each transition."""

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of all weights; see `markov_chain.Chain.draws` for the diagnostics."""
        from bnnbench_plugins.numpyro.sampling import sample

        # A trajectory length, if there were one, would change the number of steps as the step size adapts.
        settings: dict[str, Any] = {"num_steps": self.leapfrog_steps, "trajectory_length": None}
        return sample(Chain(self, chain, seed, progress), "HMC", settings, network, data)


class NumPyroNUTS(HamiltonianSampler):
    """The no-U-turn sampler (Hoffman and Gelman 2014) with NumPyro, full batch, on any network that torch.fx can trace.

    The likelihood is categorical. Raises `Incompatible`, naming the layer, for a network with one that has no JAX form
    here. `depth_cap_hits` among the diagnostics counts the transitions that took the deepest tree allowed.
    """

    revision: ClassVar[int | None] = 2

    max_tree_depth: int = Field(default=6, ge=1, le=15)
    """A transition takes at most 2^depth - 1 leapfrog steps."""

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of all weights; see `markov_chain.Chain.draws` for the diagnostics."""
        from bnnbench_plugins.numpyro.sampling import sample

        settings: dict[str, Any] = {"max_tree_depth": self.max_tree_depth}
        draws = sample(Chain(self, chain, seed, progress), "NUTS", settings, network, data)
        longest = 2**self.max_tree_depth - 1
        draws.diagnostics["depth_cap_hits"] = int((draws.diagnostics["leapfrog_steps"] >= longest).sum())
        return draws
