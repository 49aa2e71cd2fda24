"""Mean-field variational inference."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Posterior, Progress, no_progress
from bnnbench_plugins.template import kept_buffers
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.torch.mean_field import MeanField


class BayesByBackprop(MinibatchTraining, NormalPrior, Posterior):
    """Mean-field variational inference over every weight and bias (Bayes by Backprop, Blundell et al. 2015).

    An independent normal for each weight is fitted by maximising the evidence lower bound, with the closed form of its
    divergence from the prior and, in linear layers, local reparametrisation (Kingma et al. 2015). The loss of a
    minibatch is its mean negative log-likelihood + kl_weight * KL / N with N the number of training points, so that
    minibatches of any size have the same optimum. Works with any network, unchanged.
    """

    revision: ClassVar[int | None] = 1
    independent_draws: ClassVar[bool] = True

    kl_weight: float = Field(default=1.0, ge=0)
    """Weight of the divergence from the prior; 1 is Bayesian, less is a colder posterior."""
    initial_scale: float = Field(default=0.05, gt=0)
    """Standard deviation of every weight before training; far below prior_scale, a short training ends too cold."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws from the fitted normals, arrays (1, draws, *weight).

        Diagnostics: `loss` (mean over the last epoch), `kl` (nats), `elbo` (nats, of all training data, with the true
        weight of the divergence; its likelihood is an estimate), `local_layers` (how many linear layers were sampled
        by their outputs), `seconds`. Raises `Incompatible` for a network without parameters, `FloatingPointError` if
        the training diverges.
        """
        from torch.nn.functional import cross_entropy

        from bnnbench_plugins.torch.mean_field import MeanField

        began = time.perf_counter()
        start = Start(network, data, seed)
        q = MeanField(start.network, start.x[: self.batch_size], self.initial_scale, start.noise)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(q.logits(x), y) + self.kl_weight * q.divergence(self.prior_scale) / len(start.x)

        final = self.minimise(loss, q.parameters(), start, progress)
        divergence = q.divergence(self.prior_scale).item()
        diagnostics = {
            "loss": final,
            "kl": divergence,
            "elbo": self._expected_log_likelihood(q, start) - divergence,
            "local_layers": len(q.local_layers),
            "seconds": time.perf_counter() - began,
        }
        draws = {name: draw[None] for name, draw in q.draw(self.draws).items()}
        return Draws(draws, shared=kept_buffers(start.network), diagnostics=diagnostics)

    def _expected_log_likelihood(self, q: MeanField, start: Start) -> float:
        import torch
        from torch.nn.functional import cross_entropy

        batches = zip(start.x.split(self.batch_size), start.y.split(self.batch_size), strict=True)
        with torch.no_grad():
            return -sum(cross_entropy(q.logits(x), y, reduction="sum").item() for x, y in batches)
