"""Ensembles of fits: deep ensembles, bootstrap ensembles and multi-SWAG."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Data, PosteriorParameter
from bnnbench_plugins.ensembles.members import Ensemble

_SWAG: Any = {"use": "bnnbench:swag", "draws": 10}


class DeepEnsemble(Ensemble):
    """Deep ensemble (Lakshminarayanan et al. 2017): networks that are trained alike, from different initial weights.

    The predictive averages the probabilities of the members. Each member is a fit of `of` with a seed of its own, for
    its initial weights and the order of its minibatches.
    """

    revision: ClassVar[int | None] = 1


class BootstrapEnsemble(Ensemble):
    """Bootstrap ensemble (Efron 1979; Breiman 1996): each member is fitted to a sample of the training points.

    The sample is drawn with replacement and has as many points as the training set, so that a member sees about 63% of
    the points. Members differ in their initial weights too.
    """

    revision: ClassVar[int | None] = 1

    def data_of(self, data: Data, seed: int) -> Data:
        """The data with a training sample that is drawn with replacement."""
        x, y = data.train
        chosen = np.random.default_rng(seed).integers(len(y), size=len(y))
        return replace(data, train=(x[chosen], y[chosen]))


class MultiSwag(Ensemble):
    """Multi-SWAG (Wilson and Izmailov 2020): SWAG around each of several trained networks.

    The predictive is an equal mixture over the members, with the same number of draws of each. With another `of`, such
    as `laplace`, it is the mixture of that approximation over several modes.
    """

    revision: ClassVar[int | None] = 1

    draws: int = Field(default=50, ge=1, le=1_000_000)
    """Number of draws of all members together. It follows from `members` and the draws of `of`."""
    of: PosteriorParameter = Field(default=_SWAG)
    """The posterior of each member. Its own `draws` are those of one member."""
    members: int = Field(default=5, ge=1, le=1000)
    """Number of members. Each has initial weights and random numbers of its own."""
