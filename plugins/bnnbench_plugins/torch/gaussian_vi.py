"""Variational inference with a normal distribution whose weights are correlated.

The evidence lower bound of a distribution q(w) = N(m, C) of P weights is

    ELBO = sum_n E_q[log p(y_n | x_n, w)] - KL(q || N(0, s^2 I)),
    KL = 1/2 (tr C / s^2 + |m|^2 / s^2 - P - log det C + P log s^2),

with the prior scale s. C is any matrix (Barber and Bishop 1998), or diagonal plus one of low rank (Ong et al. 2018;
Tomczak et al. 2020).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bnnbench import Data, Draws, Incompatible, NormalPrior, Posterior, Progress, no_progress
from bnnbench.authoring import BatchNormStatistics, kept_buffers, recalibrated
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.torch.correlated import FullCovariance, LowRank

LARGEST_FULL = 5_000
"""Largest number of weights with a full covariance: with its gradient and the optimizer's moments it takes 400 MB."""
_FINAL_MINIBATCHES = 100
"""Least number of minibatches, each with a draw of its own, from which the bound and its slope are estimated."""


class GaussianVI(MinibatchTraining, BatchNormStatistics, NormalPrior, Posterior):
    """Variational inference with a normal distribution that has correlations (Barber and Bishop 1998; Ong et al. 2018).

    It is fitted by maximising the evidence lower bound (ELBO), with reparametrised gradients of minibatches and the
    Kullback-Leibler divergence from the prior in closed form, as in `bayes-by-backprop`, whose distribution has no
    correlations. Any network can be used. Batch norm and dropout act as usual during the training.
    """

    revision: ClassVar[int | None] = 1
    independent_draws: ClassVar[bool] = True

    covariance: Literal["low-rank", "full"] = "low-rank"
    """`low-rank`: variances of each weight, and `rank` directions that weights share. `full`: all covariances, of at
    most 5,000 weights."""
    rank: int = Field(default=10, ge=1, le=1000)
    """Number of directions of `low-rank`."""
    initial_scale: float | None = Field(default=None, gt=0)
    """Standard deviation of every weight before training. By default `prior_scale` / 20: wide starts do not train."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training data. With too few, the distribution does not reach its optimum."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` if the network has too many weights for a full covariance."""
        size = sum(weight.numel() for weight in network.parameters())
        if self.covariance == "full" and size > LARGEST_FULL:
            raise Incompatible(
                f"covariance: full takes at most {LARGEST_FULL:,} weights, and there are {size:,}: choose covariance: "
                "low-rank"
            )

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws from the fitted normal distribution: arrays (1, draws, *weight).

        Diagnostics:
            loss: mean training loss of the last epoch, in nats.
            kl: divergence of the fitted distribution from the prior, in nats.
            elbo: expected log-likelihood of all training data (estimated) minus `kl`, in nats.
            width_slope: derivative of the bound by a common factor on all standard deviations (by its logarithm),
                divided by the number of weights, in nats. It is 0 at the optimum.
            unfinished: text, if `width_slope` is far from 0.
            seconds: wall time.

        Raises `Incompatible` as `check` does and for a network without parameters, `FloatingPointError` if the training
        diverges.
        """
        from torch.nn.functional import cross_entropy

        from bnnbench_plugins.torch.final_bound import final_bound

        began = time.perf_counter()
        self.check(network, data)
        start = Start(network, data, seed)
        q = self._distribution(start)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(q.logits(x), y) + q.divergence(self.prior_scale) / len(start.x)

        final = self.minimise(loss, q.parameters(), start, progress)
        minibatches = math.ceil(len(start.x) / self.batch_size)
        passes = max(2, math.ceil(_FINAL_MINIBATCHES / minibatches))
        bound = final_bound(q, start, self.batch_size, self.prior_scale, passes=passes)
        diagnostics: dict[str, float | str] = {
            "loss": final,
            "kl": bound.divergence,
            "elbo": bound.likelihood - bound.divergence,
            "width_slope": bound.slope,
            "seconds": time.perf_counter() - began,
        }
        if bound.doubt:
            diagnostics["unfinished"] = bound.doubt
        arrays = {name: draw[None] for name, draw in q.draw(self.draws).items()}
        draws = Draws(arrays, shared=kept_buffers(start.network), diagnostics=diagnostics)
        return recalibrated(draws, network, start.x) if self.batch_norm == "recalibrated" else draws

    def _distribution(self, start: Start) -> LowRank | FullCovariance:
        """The distribution before training."""
        from bnnbench_plugins.torch.correlated import FullCovariance, LowRank

        scale, example = self.initial_scale or self.prior_scale / 20, start.x[:2]
        if self.covariance == "full":
            return FullCovariance(start.network, scale, start.noise)
        return LowRank(start.network, example, scale, start.noise, self.rank)
