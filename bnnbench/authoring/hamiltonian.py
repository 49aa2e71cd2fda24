"""The base of Hamiltonian samplers: their parameters, and the bookkeeping of a chain.

A sampler has this form:

    class MyHMC(HamiltonianSampler):
        def fit_chain(self, network, data, *, seed, chain, progress):
            record = Chain(self, chain, seed, progress)
            sampled, weights, sampler_seed = record.start(network)
            for transition in range(self.transitions):
                weights, statistics = ...                     # one transition of the engine
                if record.note(transition, acceptance=..., diverging=..., leapfrog_steps=..., step_size=...):
                    record.kept.append(weights)               # name -> numpy array
            return record.draws(sampled, data)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from bnnbench.authoring.batch_norm import BatchNormStatistics, has_batch_norm, recalibrated
from bnnbench.authoring.random_streams import chain_seeds
from bnnbench.authoring.templates import fresh_network, kept_buffers
from bnnbench.core.chains import IndependentChains
from bnnbench.core.draws import Draws, Progress
from bnnbench.core.posterior import NormalPrior
from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench.core.dataset import Data

SHORTEST_ADAPTATION = 10
"""The number of warm-up transitions below which the step size stays the initial one."""


class HamiltonianSampler(BatchNormStatistics, NormalPrior, IndependentChains):
    """The base of full-batch Hamiltonian samplers of all weights and biases, with a normal prior and several chains.

    A subclass writes `fit_chain`.
    """

    warmup: int = Field(default=50, ge=0, le=1_000_000)
    """Transitions of each chain before the first draw is kept. The sampler adapts during them."""
    thin: int = Field(default=1, ge=1, le=1_000_000)
    """One of every `thin` transitions after the warm-up is kept."""
    step_size: float = Field(default=0.01, gt=0)
    """Leapfrog step size: the initial one if it is adapted, otherwise that of all transitions."""
    adapt_step_size: bool = True
    """Adapt the step size to `target_acceptance` during the warm-up (dual averaging, Hoffman and Gelman 2014).

    With fewer than 10 warm-up transitions the step size stays `step_size`.
    """
    target_acceptance: float = Field(default=0.8, gt=0, lt=1)
    """Mean acceptance probability that the adaptation aims at."""
    adapt_mass_matrix: bool = False
    """Adapt a diagonal mass matrix during the warm-up."""

    @property
    def adapts_step_size(self) -> bool:
        """Whether the step size is adapted: only if the warm-up has ten transitions or more.

        Dual averaging starts far above the initial step size. Stopped after a few transitions, it leaves one at which
        every transition diverges.
        """
        return self.adapt_step_size and self.warmup >= SHORTEST_ADAPTATION

    @property
    def transitions(self) -> int:
        """Transitions of each chain, including the warm-up."""
        return self.warmup + self.per_chain * self.thin


@dataclass(eq=False)
class Chain:
    """The record of one chain: the weights that are kept, and statistics of its transitions.

    Attributes:
        sampler: the sampler with its parameters.
        number: the number of the chain, from 0.
        seed: the seed of the fit.
        progress: the callback of the fit.
        kept: the weights of each kept transition, name -> array; the sampler appends them.
        acceptance: the acceptance probability of each transition after the warm-up.
        divergences: whether each transition after the warm-up diverged.
        leapfrog_steps: the leapfrog steps of each transition after the warm-up.
        step_size: the step size of the latest transition.
        gradients: the leapfrog steps of all transitions, including the warm-up.
        started: the time at which the record was made, in seconds of `time.perf_counter`.
    """

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
        """The network to sample, the chain's initial weights by name, and the seed (uint32) of the sampler.

        The initial weights are drawn anew for each chain. The network's buffers are those of the template, such as
        trained statistics of batch norm.
        Raises `Incompatible` if the template `network` has no parameters.
        """
        weights_seed, sampler_seed = chain_seeds(self.seed, self.number)
        weights = fresh_network(network, weights_seed).named_parameters()
        sampled = fresh_network(network, self.seed, keep_buffers=True)
        return sampled, {name: weight.detach() for name, weight in weights}, sampler_seed

    def note(
        self, transition: int, *, acceptance: float, diverging: bool, leapfrog_steps: int, step_size: float
    ) -> bool:
        """Record the statistics of a transition, and return whether its weights are to be kept.

        `transition` counts from 0 and includes the warm-up.
        """
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

    def draws(self, network: nn.Module, data: Data | None = None) -> Draws:
        """The kept weights as `Draws` of one chain: arrays (1, draws, *weight), and the sampled network's buffers.

        With `batch_norm: recalibrated` the statistics of batch norm are estimated for each draw, which needs the data.

        Diagnostics: `acceptance`, `divergences` and `leapfrog_steps` of each transition after the warm-up, of shape
        (1, draws * thin); `step_size`, of shape (1,); `gradients`, the number of leapfrog steps including the warm-up;
        `seconds`, the wall time; and, for a network with such layers, the text `held_fixed` (`held_fixed`).
        """
        recalibrate = self.sampler.batch_norm == "recalibrated"
        if recalibrate and data is None:
            raise ContractBreach("batch_norm: recalibrated needs the data: write record.draws(network, data)")
        held = held_fixed(network, recalibrate)
        arrays = {name: np.stack([weights[name] for weights in self.kept])[None] for name in self.kept[0]}
        draws = Draws(
            {name: array.astype(np.float32, copy=False) for name, array in arrays.items()},
            shared=kept_buffers(network),
            diagnostics={
                "acceptance": np.array([self.acceptance]),
                "divergences": np.array([self.divergences]),
                "leapfrog_steps": np.array([self.leapfrog_steps]),
                "step_size": np.array([self.step_size]),
                "gradients": self.gradients,
                "seconds": time.perf_counter() - self.started,
            }
            | ({"held_fixed": held} if held else {}),
        )
        if recalibrate and data is not None:
            draws = recalibrated(draws, network, data.train[0].to(next(network.parameters()).device))
        return draws


def held_fixed(network: nn.Module, recalibrate: bool = False) -> str:
    """What a Hamiltonian sampler holds fixed in a network, in words; empty if there is nothing.

    The density that it samples must be a fixed function of the weights. So layers are in eval mode: batch norm uses
    the statistics that it has at the start, and dropout does nothing. Recalibration changes the draws afterwards.
    """
    held = []
    if any(getattr(layer, "running_mean", None) is not None for layer in network.modules()):
        held.append("batch norm keeps the statistics that it has at the start")
        if recalibrate and has_batch_norm(network):
            held[-1] += " while it is sampled, then it has those of each draw, recalibrated on the training inputs"
    if any(map(_drops, network.modules())):
        held.append("dropout is off")
    return "; ".join(held)


def _drops(layer: nn.Module) -> bool:
    """Whether a layer sets values to zero at random in train mode: a dropout, or a layer such as attention or LSTM."""
    probability = getattr(layer, "p", 1.0) if "Dropout" in type(layer).__name__ else getattr(layer, "dropout", 0.0)
    return isinstance(probability, int | float) and probability > 0
