"""Hamiltonian Monte Carlo and the no-U-turn sampler with NumPyro."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench.authoring import NO_MEMORY, Chain, FixedLength, HamiltonianSampler, PartMemory

if TYPE_CHECKING:
    from torch import nn


class _InJax(HamiltonianSampler):
    """The base of samplers that run a network in JAX."""

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` for a network that cannot be run in JAX with the same logits."""
        from bnnbench_plugins.numpyro.sampling import check

        check(network, data)


class NumPyroHMC(_InJax, FixedLength):
    """Full-batch Hamiltonian Monte Carlo (Neal 2011) with NumPyro, on any network that torch.fx can trace.

    The number of leapfrog steps per transition is fixed; it does not change as the step size adapts, unless a
    `trajectory_length` is given. The likelihood is categorical. A network with a layer that has no JAX form is
    incompatible; the reason names the layer.
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

        Raises `Incompatible` for a network without parameters, or with an operation that has no JAX form.
        """
        from bnnbench_plugins.numpyro.engine import NumPyroEngine
        from bnnbench_plugins.numpyro.sampling import sample

        engine = partial(NumPyroEngine, max_tree_depth=None)
        return sample(Chain(self, chain, seed, progress, memory), engine, network, data)


class NumPyroNUTS(_InJax):
    """The full-batch no-U-turn sampler (Hoffman and Gelman 2014) with NumPyro, on any network that torch.fx can trace.

    The likelihood is categorical. The diagnostic `depth_cap_hits` counts the transitions after the warm-up whose tree
    reached `max_tree_depth`. A network with a layer that has no JAX form is incompatible; the reason names the layer.
    """

    revision: ClassVar[int | None] = 4
    keeps_state: ClassVar[bool] = True

    max_tree_depth: int = Field(default=8, ge=1, le=15)
    """Largest depth of a transition's tree; a tree of depth d takes at most 2^d - 1 leapfrog steps."""

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

        The diagnostic `depth_cap_hits` is added. Raises `Incompatible` for a network without parameters, or with an
        operation that has no JAX form.
        """
        from bnnbench_plugins.numpyro.engine import NumPyroEngine
        from bnnbench_plugins.numpyro.sampling import sample

        engine = partial(NumPyroEngine, max_tree_depth=self.max_tree_depth)
        draws = sample(Chain(self, chain, seed, progress, memory), engine, network, data)
        longest = 2**self.max_tree_depth - 1
        draws.diagnostics["depth_cap_hits"] = int((draws.diagnostics["leapfrog_steps"] >= longest).sum())
        return draws
