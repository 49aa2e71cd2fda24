"""Hamiltonian Monte Carlo with Pyro."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench.authoring import NO_MEMORY, Chain, FixedLength, PartMemory

if TYPE_CHECKING:
    from torch import nn


class PyroHMC(FixedLength):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with Pyro, on any network.

    The number of leapfrog steps per transition is fixed; it does not change as the step size adapts, unless a
    `trajectory_length` is given. The likelihood is categorical.
    """

    revision: ClassVar[int | None] = 4
    keeps_state: ClassVar[bool] = True

    def fit_chain(
        self,
        network: nn.Module,
        data: Data,
        *,
        seed: int,
        chain: int,
        progress: Progress = no_progress,
        memory: PartMemory = NO_MEMORY,
    ) -> Draws:
        """Draws of one chain: arrays (1, draws / chains, *weight), with the diagnostics of `authoring.Chain.draws`.

        Raises `Incompatible` for a network without parameters.
        """
        from bnnbench_plugins.pyro.sampling import sample

        return sample(Chain(self, chain, seed, progress, memory), network, data)
