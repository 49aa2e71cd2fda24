"""What Hamiltonian samplers share: their parameters, and how their draws and diagnostics are put together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench import Draws, NormalPrior, Posterior, Progress
from bnnbench_plugins.template import kept_buffers

if TYPE_CHECKING:
    from torch import nn

_STREAM = 2000
"""Sets the randomness of chains apart from any other that comes from the same seed."""


class HamiltonianSampler(NormalPrior, Posterior):
    """Full-batch Hamiltonian sampling of all weights and biases; chains run one after another."""

    chains: int = Field(default=1, ge=1, le=1000)
    """Chains, each from a start of its own; `draws` are shared out evenly."""
    warmup: int = Field(default=50, ge=0, le=1_000_000)
    """Transitions of each chain before the first draw is kept, in which the sampler adapts."""
    thin: int = Field(default=1, ge=1, le=1_000_000)
    """Every thin-th transition after the warm-up is kept."""
    step_size: float = Field(default=0.01, gt=0)
    """Leapfrog step at the start, and throughout where it is not adapted."""
    adapt_step_size: bool = True
    """Adapt the step to `target_acceptance` during the warm-up, if there is one (dual averaging, Hoffman and Gelman
    2014)."""
    target_acceptance: float = Field(default=0.8, gt=0, lt=1)
    """Mean acceptance probability that the adaptation aims at."""
    adapt_mass_matrix: bool = False
    """Adapt a diagonal mass matrix during the warm-up."""

    @model_validator(mode="after")
    def _chains_share_the_draws(self) -> Self:
        if self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    @property
    def adapts_step_size(self) -> bool:
        """Whether the step changes: engines would look for one even if no warm-up could correct what they find."""
        return self.adapt_step_size and self.warmup > 0

    @property
    def per_chain(self) -> int:
        """Draws kept of each chain."""
        return self.draws // self.chains

    @property
    def transitions(self) -> int:
        """Transitions of each chain, warm-up included."""
        return self.warmup + self.per_chain * self.thin


@dataclass
class Chain:
    """One chain as it grows: the weights kept, and what the sampler said of each transition after the warm-up."""

    sampler: HamiltonianSampler
    number: int
    progress: Progress
    kept: list[dict[str, np.ndarray]] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)
    divergences: list[bool] = field(default_factory=list)
    leapfrog_steps: list[int] = field(default_factory=list)
    step_size: float = 0.0
    gradients: int = 0

    def note(
        self, transition: int, *, acceptance: float, diverging: bool, leapfrog_steps: int, step_size: float
    ) -> bool:
        """Record a transition, counted from 0 with the warm-up; True if its weights are to be kept."""
        sampler = self.sampler
        self.gradients += leapfrog_steps
        self.step_size = step_size
        stage = "warm-up" if transition < sampler.warmup else "sampling"
        done = self.number * sampler.transitions + transition + 1
        self.progress(
            done, sampler.chains * sampler.transitions, f"{stage}, acceptance {acceptance:.2f}, step {step_size:.1e}"
        )
        if transition < sampler.warmup:
            return False
        self.acceptance.append(acceptance)
        self.divergences.append(diverging)
        self.leapfrog_steps.append(leapfrog_steps)
        return (transition - sampler.warmup + 1) % sampler.thin == 0


def gathered(chains: list[Chain], network: nn.Module, started: float, **extra: Any) -> Draws:
    """The draws of all chains, arrays (chains, draws, *weight), the diagnostics, and the buffers of the network that
    was sampled.

    Diagnostics by transition have shape (chains, draws x thin): `acceptance` (probability), `divergences`,
    `leapfrog_steps`; by chain `step_size`; in all `gradients` (leapfrog steps, warm-up included) and `seconds`.
    """
    names = chains[0].kept[0]
    arrays = {name: np.stack([np.stack([draw[name] for draw in chain.kept]) for chain in chains]) for name in names}
    return Draws(
        {name: array.astype(np.float32, copy=False) for name, array in arrays.items()},
        shared=kept_buffers(network),
        diagnostics={
            "acceptance": np.array([chain.acceptance for chain in chains]),
            "divergences": np.array([chain.divergences for chain in chains]),
            "leapfrog_steps": np.array([chain.leapfrog_steps for chain in chains]),
            "step_size": np.array([chain.step_size for chain in chains]),
            "gradients": sum(chain.gradients for chain in chains),
            "seconds": time.perf_counter() - started,
            **extra,
        },
    )


def chain_seeds(seed: int, chain: int) -> tuple[int, int]:
    """Two uint32 seeds for each chain: of its start, and of the sampler's own randomness."""
    start, sampling = np.random.SeedSequence(seed, spawn_key=(_STREAM, chain)).generate_state(2).tolist()
    return start, sampling
