"""What Hamiltonian samplers share: their parameters, and what they keep of a chain."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from bnnbench import Draws, IndependentChains, NormalPrior, Progress
from bnnbench_plugins.template import fresh_network, kept_buffers

if TYPE_CHECKING:
    from torch import Tensor, nn

_STREAM = 2000
"""Sets the randomness of chains apart from any other that comes from the same seed."""


class HamiltonianSampler(NormalPrior, IndependentChains):
    """Full-batch Hamiltonian sampling of all weights and biases."""

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

    @property
    def adapts_step_size(self) -> bool:
        """Whether the step changes: engines would look for one even if no warm-up could correct what they find."""
        return self.adapt_step_size and self.warmup > 0

    @property
    def transitions(self) -> int:
        """Transitions of each chain, warm-up included."""
        return self.warmup + self.per_chain * self.thin


@dataclass
class Chain:
    """One chain as it grows: the weights kept, and what the sampler said of each transition after the warm-up."""

    sampler: HamiltonianSampler
    number: int
    seed: int
    progress: Progress
    started: float = field(default_factory=time.perf_counter)
    kept: list[dict[str, np.ndarray]] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)
    divergences: list[bool] = field(default_factory=list)
    leapfrog_steps: list[int] = field(default_factory=list)
    step_size: float = 0.0
    gradients: int = 0

    def start(self, network: nn.Module) -> tuple[nn.Module, dict[str, Tensor], int]:
        """The network to sample, with the buffers that the fit's seed gives all chains; this chain's first weights; and
        the uint32 seed of the sampler's own randomness."""
        first, sampling = chain_seeds(self.seed, self.number)
        weights = fresh_network(network, first).named_parameters()
        return fresh_network(network, self.seed), {name: weight.detach() for name, weight in weights}, sampling

    def note(
        self, transition: int, *, acceptance: float, diverging: bool, leapfrog_steps: int, step_size: float
    ) -> bool:
        """Record a transition, counted from 0 with the warm-up; True if its weights are to be kept."""
        sampler = self.sampler
        self.gradients += leapfrog_steps
        self.step_size = step_size
        stage = "warm-up" if transition < sampler.warmup else "sampling"
        self.progress(
            transition + 1, sampler.transitions, f"{stage}, acceptance {acceptance:.2f}, step {step_size:.1e}"
        )
        if transition < sampler.warmup:
            return False
        self.acceptance.append(acceptance)
        self.divergences.append(diverging)
        self.leapfrog_steps.append(leapfrog_steps)
        return (transition - sampler.warmup + 1) % sampler.thin == 0

    def draws(self, network: nn.Module) -> Draws:
        """What was kept, arrays (1, draws, *weight), the diagnostics, and the buffers of the network that was sampled.

        Diagnostics by transition have shape (1, draws x thin): `acceptance` (probability), `divergences`,
        `leapfrog_steps`; `step_size` has shape (1,); `gradients` (leapfrog steps, warm-up included) and `seconds` are
        numbers.
        """
        arrays = {name: np.stack([draw[name] for draw in self.kept])[None] for name in self.kept[0]}
        return Draws(
            {name: array.astype(np.float32, copy=False) for name, array in arrays.items()},
            shared=kept_buffers(network),
            diagnostics={
                "acceptance": np.array([self.acceptance]),
                "divergences": np.array([self.divergences]),
                "leapfrog_steps": np.array([self.leapfrog_steps]),
                "step_size": np.array([self.step_size]),
                "gradients": self.gradients,
                "seconds": time.perf_counter() - self.started,
            },
        )


def chain_seeds(seed: int, chain: int) -> tuple[int, int]:
    """Two uint32 seeds for each chain: of its start, and of the sampler's own randomness."""
    start, sampling = np.random.SeedSequence(seed, spawn_key=(_STREAM, chain)).generate_state(2).tolist()
    return start, sampling
