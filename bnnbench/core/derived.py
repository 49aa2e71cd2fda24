"""The base class of posteriors that are made of the draws of another fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.draws import Draws, Progress, no_progress
from bnnbench.core.posterior import Posterior

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class Derived(Posterior):
    """A posterior whose draws are computed from those of another fit. An author writes `derive`.

    An author also declares the posterior of the other fit, with a default: `of: PosteriorParameter = Field(...)`. That
    fit is of the same network and data, at the same seed. `bnnbench.fit` makes it first. In a run of a
    benchmarks file it is a fit of its own, which is made once however many posteriors and measures need it.
    """

    if TYPE_CHECKING:
        of: Posterior

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """The posterior of the other fit."""
        return (self.of,)

    def derive(
        self, network: nn.Module, data: Data, draws: Draws, *, seed: int, progress: Progress = no_progress
    ) -> Draws:
        """The draws, from those of the other fit; the other arguments and rules are those of `Posterior.fit`."""
        raise NotImplementedError

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise what the check of the other fit raises."""
        self.of.check(network, data)

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The draws that are derived from those of the other fit, which is made first."""
        draws = self.of.fit(network, data, seed=seed, progress=progress)
        return self.derive(network, data, draws, seed=seed, progress=progress)
