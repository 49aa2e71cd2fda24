"""Certificates of the posterior, by bounds of the probability that a draw of it is robust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from bnnbench import Certificate, Incompatible, Proof
from bnnbench_plugins.certificates.confidence import Method, lower_bound

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Predictive, Threat


class PosteriorProbability(Certificate):
    """The probability that a draw of the posterior is robust at an image (Cardelli et al. 2019; Wicker et al. 2020).

    Linear relaxation (`crown`, per draw) proves of some of the S draws that they give every input of the ball the
    label. From their number follows a lower confidence bound of the probability that a new draw of the posterior does
    so. An image is certified if the bound exceeds `probability`.

    This is a statement about the posterior, not about the averaged predictive of the draws at hand: the mean of
    networks that are mostly robust may still be misled, and a mean of networks that are not robust may be robust. It
    holds with the stated confidence, for each image by itself: of 100 images, about 5 may have a wrong bound at 0.95.

    The bounds are for independent draws. Draws of chains are counted by their effective sample size, the smallest over
    the images of the logits' margins that are counted; then the confidence is approximate, and no better than the
    chains are converged. Draws that are neither independent nor in chains of 8 or more are incompatible.
    """

    revision: ClassVar[int | None] = 2
    about: ClassVar[Literal["predictive", "posterior"]] = "posterior"

    bound: Method = "clopper-pearson"
    """`chernoff`: additive Chernoff bound. `massart`: Massart's bound. `clopper-pearson`: exact, so the largest."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Probability with which each image's bound holds."""
    probability: float = Field(default=0.9, ge=0, lt=1)
    """Probability that the lower bound must exceed for an image to be certified."""
    refined: int = Field(default=1024, ge=0)
    """Largest number of units of a hidden layer whose interval bounds are narrowed by linear relaxation."""

    def prove(self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat) -> Proof:
        import torch

        from bnnbench_plugins.certificates.relaxation import Relaxation

        if len(draws) < 2:
            raise Incompatible("posterior-probability needs two or more draws of a posterior, not one")
        margins = Relaxation(predictive, draws, x, threat, self.refined).margins(y)
        trials = independent_draws(predictive, draws, margins.cpu().numpy())
        robust = (margins > 0).sum(0)
        bounds = [
            lower_bound(math.floor(int(one) * trials / len(draws)), trials, self.confidence, self.bound)
            for one in robust
        ]
        bound = torch.tensor(bounds, dtype=torch.float64)
        return Proof(certified=bound > self.probability, bound=bound)


def independent_draws(predictive: Predictive, draws: Sequence[int], values: np.ndarray) -> int:
    """The number of independent draws that draws with these values (S, N) are worth.

    It is S, or the effective sample size of draws of chains.
    """
    from bnnbench.authoring import independence, mixing

    if independence(predictive):
        return len(draws)
    chains = np.array(sorted(draws)) // predictive.per_chain
    _, sizes = np.unique(chains, return_counts=True)
    if len(set(sizes.tolist())) > 1:
        raise Incompatible("posterior-probability needs equally many draws of each chain")
    order = np.argsort(draws, kind="stable")
    _, ess = mixing(values[order].reshape(len(sizes), sizes[0], -1))
    if ess is None:
        raise Incompatible(
            "posterior-probability needs independent draws or chains of 8 or more: these have no effective sample size"
        )
    return max(1, math.floor(min(ess, len(draws))))
