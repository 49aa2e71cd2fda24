"""Microcanonical Monte Carlo with BlackJAX.

The dynamics keep the length of the velocity u, |u| = 1, of a chain of d weights w with the density exp(-U(w)):

    dw = u dt,        du = -(I - u u^T) grad U(w) / (d - 1) dt

(Robnik et al. 2023, *Microcanonical Hamiltonian Monte Carlo*). With velocities that are turned at random they have the
density as their stationary one, without any step that must be accepted; a finite step size makes that inexact. The
Metropolis step of a trajectory with the integration error E accepts with probability min(1, exp(-E)), which makes it
exact (Robnik et al. 2025, *Metropolis Adjusted Microcanonical Hamiltonian Monte Carlo*).

Time is scaled by sqrt(d), so that a step of size e moves a weight by e in root mean square, as a leapfrog step of
Hamiltonian Monte Carlo does. So step sizes and trajectories of both mean the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench.authoring import NO_MEMORY, Chain, FixedLength, PartMemory

if TYPE_CHECKING:
    from torch import nn

BIASED = "no step was accepted or rejected: the draws are biased by the step size"


class BlackJAXMCLMC(FixedLength):
    """Full-batch microcanonical Monte Carlo (Robnik et al. 2023, 2025) with BlackJAX, on networks that JAX can run.

    Warm-up, adaptation and starts are those of the Hamiltonian samplers. A transition turns the velocity at random and
    follows the dynamics for a random number of steps, uniform from 1 to 2 n - 1 with n = `leapfrog_steps` or that of
    `trajectory_length`. The likelihood is categorical. A network with a layer that has no JAX form is incompatible.
    """

    revision: ClassVar[int | None] = 1
    keeps_state: ClassVar[bool] = True

    leapfrog_steps: int = Field(default=50, ge=1, le=100_000)
    """Mean number of integration steps of a transition."""
    adjusted: bool = True
    """Whether each trajectory is accepted or rejected by a Metropolis step, which makes the sampler exact.

    Without, a transition has exactly n steps, the velocity is turned a little at each of them, and the draws are biased
    by the step size. The step size is still that at which a Metropolis step would accept the share
    `target_acceptance`, and the diagnostic `acceptance` says what it would have accepted.
    """

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` for a network that JAX cannot run, `BnnbenchError` if BlackJAX is not installed."""
        from bnnbench_plugins.blackjax.installed import require_blackjax
        from bnnbench_plugins.numpyro.sampling import check

        require_blackjax()
        check(network, data)

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

        `gradients` and `leapfrog_steps` count gradients. With `adjusted: false` the text `biased` is added. Raises
        `Incompatible` for a network with fewer than two weights, or with an operation that has no JAX form.
        """
        from bnnbench_plugins.blackjax.installed import require_blackjax

        require_blackjax()
        from bnnbench_plugins.blackjax.engine import MicrocanonicalEngine
        from bnnbench_plugins.numpyro.sampling import sample

        engine = partial(MicrocanonicalEngine, adjusted=self.adjusted)
        draws = sample(Chain(self, chain, seed, progress, memory), engine, network, data)
        if not self.adjusted:
            draws.diagnostics["biased"] = BIASED
        return draws
