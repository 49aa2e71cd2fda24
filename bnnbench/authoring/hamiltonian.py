"""The base of Hamiltonian samplers: their parameters, and what to change of them if transitions diverge.

A sampler has this form. The engine is what makes one transition (`chain_loop.Engine`); warm-up, adaptation and random
numbers are those of all samplers.

    class MyHMC(HamiltonianSampler):
        def fit_chain(self, network, data, *, seed, chain, progress, memory=NO_MEMORY):
            record = Chain(self, chain, seed, progress, memory)
            sampled, weights, _ = record.start(network, data)
            ChainLoop(record, MyEngine(sampled, weights, ...)).run()
            return record.draws(sampled, data)

One with a loop of its own calls `record.note` after each of its transitions, and appends weights to `record.kept`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench.authoring.adaptation import SHORTEST
from bnnbench.authoring.batch_norm import BatchNormStatistics
from bnnbench.authoring.starts import Start
from bnnbench.core.chains import IndependentChains
from bnnbench.core.posterior import NormalPrior

if TYPE_CHECKING:
    from bnnbench.core.draws import Draws

LONGEST_TRAJECTORY = 1000
"""The largest number of leapfrog steps of a transition with a `trajectory_length`."""
SHORTEST_LENGTH = 0.8
"""The shortest trajectory with a `trajectory_length`, as a share of it."""
FEW_ACCEPTED = 0.2
"""The mean acceptance probability below which a step size that was not adapted is too long."""


class HamiltonianSampler(BatchNormStatistics, NormalPrior, IndependentChains):
    """The base of full-batch Hamiltonian samplers of all weights and biases, with a normal prior and several chains.

    A subclass writes `fit_chain`. If it gives the `memory` of its chain to the record, it declares `keeps_state`: in a
    run of a benchmarks file, its chains then go on from their last state.
    """

    lengthening: ClassVar[frozenset[str]] = frozenset({"draws", "chains"})

    warmup: int = Field(default=100, ge=0, le=1_000_000)
    """Transitions of each chain before the first draw is kept. The sampler adapts during them."""
    thin: int = Field(default=1, ge=1, le=1_000_000)
    """One of every `thin` transitions after the warm-up is kept."""
    step_size: float = Field(default=0.01, gt=0)
    """Leapfrog step size: where the search for one begins if it is adapted, otherwise that of all transitions."""
    adapt_step_size: bool = True
    """Adapt the step size to `target_acceptance` during the warm-up (dual averaging, Hoffman and Gelman 2014).

    With fewer than 10 warm-up transitions the step size stays `step_size`.
    """
    target_acceptance: float = Field(default=0.8, gt=0, lt=1)
    """Mean acceptance probability that the adaptation aims at."""
    adapt_mass_matrix: bool = False
    """Adapt a diagonal mass matrix during the warm-up, if it has 20 transitions or more."""
    start: Start = "dispersed"
    """Where chains start.

    dispersed: over-dispersed initial weights, so that R-hat can find modes; prior: draws from the prior; trained: after
    a short training from initial weights, each chain from its own, with a little noise. R-hat of trained chains does
    not tell whether they would have met from elsewhere.
    """

    superchains: int | None = Field(default=None, ge=1, le=1000)
    """Number of groups of consecutive chains that share their start; by default each chain has its own.

    Many short chains are then judged by nested R-hat (Margossian et al. 2024).
    """

    @model_validator(mode="after")
    def _groups_have_the_same_size(self) -> Self:
        if self.superchains is not None and self.chains % self.superchains:
            raise ValueError(f"chains ({self.chains}) must be a multiple of superchains ({self.superchains})")
        return self

    def start_of(self, chain: int) -> int:
        """The number of the start of a chain: its own, or that of its group."""
        return chain if self.superchains is None else chain // (self.chains // self.superchains)

    def beginning(self, part: int) -> dict[str, Any]:
        """What decides how a chain begins: with `superchains` the number of its start, which `chains` decides too."""
        shared = {} if self.superchains is None else {"superchains": self.start_of(part)}
        return super().beginning(part) | shared

    @property
    def transitions(self) -> int:
        """Transitions of each chain, including the warm-up."""
        return self.warmup + self.per_chain * self.thin

    def together(self, parts: Sequence[Draws]) -> Draws:
        """The draws of all chains, with diagnostics of the whole fit.

        `advice` says what to change if transitions diverged; `superchains` is that parameter, if it is given.
        """
        draws = super().together(parts)
        if self.superchains is not None:
            draws.diagnostics["superchains"] = self.superchains
        if told := advice(self, draws.diagnostics):
            draws.diagnostics["advice"] = told
        return draws

    def steps_of(self, step_size: float, *, initial: bool, fraction: float) -> int:
        """Leapfrog steps of a transition.

        `initial` is whether it is in the initial stage of the warm-up; `fraction` is a random number in [0, 1).
        """
        return 1


class FixedLength(HamiltonianSampler):
    """The base of samplers whose transitions have a given number of leapfrog steps or a given length."""

    leapfrog_steps: int = Field(default=50, ge=1, le=100_000)
    """Leapfrog steps of each transition."""
    trajectory_length: float | None = Field(default=None, gt=0)
    """Mean length of the trajectories: a transition has as many leapfrog steps as fill its length, at most 1000.

    It takes the place of `leapfrog_steps`, except in the initial stage of the warm-up, where steps may be far shorter.
    Lengths vary between 0.8 and 1.2 times the mean, because trajectories of one length may return to where they began
    (Neal 2011, section 3.2). 0.8 to pi / 2 times `prior_scale` suited the networks that were measured; pi / 2 is
    for weights that the data hardly inform (Izmailov et al. 2021).
    """

    def steps_of(self, step_size: float, *, initial: bool, fraction: float) -> int:
        """Leapfrog steps of a transition of this step size, whose length `fraction` in [0, 1) decides."""
        if self.trajectory_length is None:
            return self.leapfrog_steps
        longest = self.leapfrog_steps if initial else LONGEST_TRAJECTORY
        length = self.trajectory_length * (SHORTEST_LENGTH + (2 - 2 * SHORTEST_LENGTH) * fraction)
        return min(max(1, round(length / step_size)), longest)


def advice(sampler: HamiltonianSampler, diagnostics: Mapping[str, Any]) -> str:
    """What to change of a sampler whose transitions diverged or were hardly accepted; empty if there is nothing."""
    diverged, step = np.asarray(diagnostics["divergences"], bool), float(np.max(diagnostics["step_size"]))
    acceptance, adapted = float(np.mean(diagnostics["acceptance"])), sampler.warmup >= SHORTEST
    adapted = adapted and sampler.adapt_step_size
    shorter = f"{step / (10 if diverged.all() or acceptance < FEW_ACCEPTED else 3):.1g}"
    if diverged.any():
        count = "every transition" if diverged.all() else f"{diverged.sum()} of {diverged.size} transitions"
        found = f"{count} diverged at step size {step:.2g}"
    elif acceptance < FEW_ACCEPTED and not adapted:
        found = f"the mean acceptance is {acceptance:.2f} at step size {step:.2g}"
    else:
        return ""
    if not adapted:
        return f"{found}: try step_size: {float(shorter):g}, or warmup: 100 with adapt_step_size: true"
    if diverged.all():
        return f"{found}, after a warm-up of {sampler.warmup}: try warmup: {4 * sampler.warmup}"
    target = sampler.target_acceptance
    return f"{found}: try target_acceptance: {next((t for t in (0.9, 0.95, 0.99) if t > target), 0.999):g}"
