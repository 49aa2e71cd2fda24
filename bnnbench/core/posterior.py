"""The base class of inference methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bnnbench.core.component import Component
from bnnbench.core.component_parameter import component_parameter
from bnnbench.core.draws import Draws, Progress, no_progress

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive


class Posterior(Component):
    """An inference method. Its fields are its parameters; `fit` draws a network's weights given data."""

    kind: ClassVar[str] = "posterior"
    independent_draws: ClassVar[bool] = False
    """True for methods whose draws are independent given the fit, such as variational inference and ensembles.

    The posterior card then does not judge the mixing of chains.
    """
    draws_at_most: ClassVar[bool] = False
    """True if a fit may return fewer draws than the parameter `draws`. Otherwise fewer draws are a breach."""

    draws: int = Field(default=50, ge=1, le=1_000_000)
    """Number of draws to keep, over all chains, after thinning."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Draws from the posterior of the network's weights given the training data.

        Args:
            network: a template in eval mode. Its weights must be neither used nor changed: draw initial weights with
                `authoring.fresh_network` or `initialise`.
            data: the data. The test sample must not be used.
            seed: a uint32 that determines all random numbers. The global random states must not be used.
            progress: a callback for the progress of the fit.
        """
        raise NotImplementedError

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """The posteriors whose fits this one is made of (`Derived`): to the same network and data, at the same seed."""
        return ()

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise an error if `fit` would fail for this network and these data, for a reason that a short look shows.

        `plan` and `run` call it before anything is fitted, with the template on the CPU. An author overrides it to
        raise `Incompatible`, or another error of bnnbench, within seconds; the network and the data must stay as they
        are. By default nothing is checked.
        """

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive of these draws. Override it only if a draw is not a set of the network's weights."""
        from bnnbench.core.predictive import Predictive

        return Predictive(network, draws)


PosteriorParameter = Annotated[Posterior, *component_parameter("posterior")]
"""The type of a parameter that takes a posterior: an instance, a registered name, or a mapping with `use`."""


class NormalPrior(Component):
    """A mixin with the prior that all bundled Bayesian methods share."""

    prior_scale: float = Field(default=1.0, gt=0)
    """Standard deviation of the prior: independent normals of mean zero on every weight and bias."""
