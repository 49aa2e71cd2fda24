"""Mean-field variational inference."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Posterior, Progress, no_progress
from bnnbench.authoring import BatchNormStatistics, kept_buffers, recalibrated
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

_SLOPE_PASSES = 2
"""Passes over the training data from which the slope is estimated."""


class BayesByBackprop(MinibatchTraining, BatchNormStatistics, NormalPrior, Posterior):
    """Mean-field variational inference over every weight and bias (Bayes by Backprop, Blundell et al. 2015).

    An independent normal distribution for each weight is fitted by maximising the evidence lower bound (ELBO). The
    Kullback-Leibler divergence from the prior has a closed form. Linear layers use local reparametrisation (Kingma et
    al. 2015), convolutions Flipout (Wen et al. 2018). The loss of a minibatch is its mean negative log-likelihood +
    kl_weight * KL / N, where N is the number of training points, so that the optimum does not depend on the size of the
    minibatches. Any network can be used.
    Batch norm and dropout act as usual during the training; all draws share the statistics that batch norm gathered,
    unless `batch_norm: recalibrated` gives each draw its own.
    """

    revision: ClassVar[int | None] = 4
    independent_draws: ClassVar[bool] = True

    kl_weight: float = Field(default=1.0, ge=0)
    """Weight of the divergence from the prior. 1 gives the variational posterior, less a colder one."""
    initial_scale: float | None = Field(default=None, gt=0)
    """Standard deviation of every weight before training. By default `prior_scale` / 20: wide starts do not train."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training data. With too few, the standard deviations do not reach their optimum."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws from the fitted normal distributions: arrays (1, draws, *weight).

        Diagnostics:
            loss: mean training loss of the last epoch, in nats.
            kl: divergence of the fitted distribution from the prior, in nats.
            elbo: expected log-likelihood of all training data (estimated) minus `kl`, in nats.
            width_slope: derivative of the trained bound by a common factor on all standard deviations (by its
                logarithm), divided by the number of weights, in nats. It is 0 at the optimum.
            unfinished: text, if `width_slope` is far from 0, or if `kl_weight` is not 1 (the fitted distribution then
                does not approximate the posterior of this prior).
            local_layers: number of linear layers whose outputs were sampled instead of their weights.
            flipped_layers: number of convolutions whose weights had other signs for each training point.
            seconds: wall time.

        Raises `Incompatible` for a network without parameters, `FloatingPointError` if the training diverges.
        """
        from torch.nn.functional import cross_entropy

        from bnnbench_plugins.torch.final_bound import final_bound
        from bnnbench_plugins.torch.mean_field import MeanField

        began = time.perf_counter()
        start = Start(network, data, seed)
        q = MeanField(
            start.network, start.x[: self.batch_size], self.initial_scale or self.prior_scale / 20, start.noise
        )

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(q.logits(x), y) + self.kl_weight * q.divergence(self.prior_scale) / len(start.x)

        final = self.minimise(loss, q.parameters(), start, progress)
        bound = final_bound(q, start, self.batch_size, self.prior_scale, passes=_SLOPE_PASSES, kl_weight=self.kl_weight)
        diagnostics: dict[str, float | str] = {
            "loss": final,
            "kl": bound.divergence,
            "elbo": bound.likelihood - bound.divergence,
            "width_slope": bound.slope,
            "local_layers": len(q.local_layers),
            "flipped_layers": len(q.flipped_layers),
            "seconds": time.perf_counter() - began,
        }
        doubts = [bound.doubt] if bound.doubt else []
        if self.kl_weight != 1:
            doubts.append(f"its divergence from the prior has weight {self.kl_weight:g}, not 1")
        if doubts:
            diagnostics["unfinished"] = "; ".join(doubts)
        arrays = {name: draw[None] for name, draw in q.draw(self.draws).items()}
        draws = Draws(arrays, shared=kept_buffers(start.network), diagnostics=diagnostics)
        # The trained network has hooks that add noise, so the template is evaluated.
        return recalibrated(draws, network, start.x) if self.batch_norm == "recalibrated" else draws
