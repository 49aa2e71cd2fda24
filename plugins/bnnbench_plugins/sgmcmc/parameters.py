"""The parameters that samplers by stochastic gradients share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bnnbench import IndependentChains, NormalPrior
from bnnbench.authoring import BatchNormStatistics, Start


class Steps(BatchNormStatistics, NormalPrior, IndependentChains):
    """The parameters of chains whose steps follow gradients of minibatches."""

    learning_rate: float = Field(default=0.1, gt=0)
    """Length of a step, in the units of stochastic gradient descent; under a schedule, the largest one."""
    batch_size: int = Field(default=128, ge=1)
    """Training points in a minibatch. If it is larger than the training set, a minibatch holds all points."""
    warmup: int = Field(default=2000, ge=0, le=100_000_000)
    """Steps of each chain before those of the first draw. `cyclical`: steps without noise that begin each cycle."""
    thin: int = Field(default=100, ge=1, le=1_000_000)
    """Steps from one kept draw to the next."""
    schedule: Literal["constant", "decreasing", "cyclical"] = "constant"
    """`constant`: all steps are alike. `decreasing`: step t has `learning_rate` (1 + t / `warmup`)^(-1/3) (Teh et al.
    2016). `cyclical`: in each cycle the learning rate falls along half a cosine to zero (Zhang et al. 2020)."""
    cycles: int = Field(default=5, ge=1)
    """Cycles of each chain under `cyclical`. Each keeps the same number of draws; the other schedules ignore it."""
    start: Start = "dispersed"
    """Where chains start, as for Hamiltonian samplers."""

    @model_validator(mode="after")
    def _cycles_share_the_draws(self) -> Self:
        if self.schedule == "cyclical" and self.per_chain % self.cycles:
            raise ValueError(f"the draws of a chain ({self.per_chain}) must be a multiple of cycles ({self.cycles})")
        return self

    @property
    def decay(self) -> float | None:
        """The momentum of the steps; None for steps without one."""
        return None
