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

_FLAT = 0.15
"""Largest slope, in nats for each weight, of a training that has ended; where widths have hardly moved it is near 1."""
_PASSES = 2
"""Passes over the training data that the slope is estimated from."""


class BayesByBackprop(MinibatchTraining, NormalPrior, Posterior):
    """Mean-field variational inference over every weight and bias (Bayes by Backprop, Blundell et al. 2015).

    An independent normal for each weight is fitted by maximising the evidence lower bound, with the closed form of its
    divergence from the prior and, in linear layers, local reparametrisation (Kingma et al. 2015). The loss of a
    minibatch is its mean negative log-likelihood + kl_weight * KL / N with N the number of training points, so that
    minibatches of any size have the same optimum. Works with any network, unchanged.
    """

    revision: ClassVar[int | None] = 2
    independent_draws: ClassVar[bool] = True

    kl_weight: float = Field(default=1.0, ge=0)
    """Weight of the divergence from the prior; 1 is Bayesian, less is a colder posterior."""
    initial_scale: float | None = Field(default=None, gt=0)
    """Standard deviation of every weight before training, by default prior_scale / 20: wide starts learn nothing."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training data; with too few the standard deviations do not reach their optimum."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Step size; under the one-cycle schedule its largest value."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws from the fitted normals, arrays (1, draws, *weight).

        Diagnostics: `loss` (mean over the last epoch), `kl` (nats), `elbo` (nats, of all training data, with the true
        weight of the divergence; its likelihood is an estimate), `width_slope` (nats for each weight: how fast the
        trained bound still rises if all standard deviations grow by one factor; 0 at the optimum), `unfinished` if that
        is far from 0, or if `kl_weight` is not 1 (what is approximated is then no posterior of this prior),
        `local_layers` (how many linear layers were sampled by their outputs), `seconds`. Raises `Incompatible` for a
        network without parameters, `FloatingPointError` if the training diverges.
        """
        from torch.nn.functional import cross_entropy

        from bnnbench_plugins.torch.mean_field import MeanField

        began = time.perf_counter()
        start = Start(network, data, seed)
        q = MeanField(
            start.network, start.x[: self.batch_size], self.initial_scale or self.prior_scale / 20, start.noise
        )

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(q.logits(x), y) + self.kl_weight * q.divergence(self.prior_scale) / len(start.x)

        final = self.minimise(loss, q.parameters(), start, progress)
        likelihood, divergence, slope = self._judged(q, start)
        diagnostics: dict[str, float | str] = {
            "loss": final,
            "kl": divergence,
            "elbo": likelihood - divergence,
            "width_slope": slope,
            "local_layers": len(q.local_layers),
            "seconds": time.perf_counter() - began,
        }
        doubts = []
        if abs(slope) > _FLAT:
            doubts.append(f"the training ended early: the ELBO has slope {slope:.2f} in every weight's width")
        if self.kl_weight != 1:
            doubts.append(f"its divergence from the prior has weight {self.kl_weight:g}, not 1")
        if doubts:
            diagnostics["unfinished"] = "; ".join(doubts)
        draws = {name: draw[None] for name, draw in q.draw(self.draws).items()}
        return Draws(draws, shared=kept_buffers(start.network), diagnostics=diagnostics)

    def _judged(self, q: MeanField, start: Start) -> tuple[float, float, float]:
        """The expected log-likelihood of the training data, the divergence, and the widths' slope for each weight."""
        from torch.nn.functional import cross_entropy

        widths = list(q.log_scales.values())
        likelihood, slope = 0.0, 0.0
        for _ in range(_PASSES):
            for x, y in start.minibatches(self.batch_size):
                value = -cross_entropy(q.logits(x), y, reduction="sum")
                slope += _common_slope(value, widths) / _PASSES
                likelihood += value.item() / _PASSES
        divergence = q.divergence(self.prior_scale)
        slope -= self.kl_weight * _common_slope(divergence, widths)
        return likelihood, divergence.item(), slope / sum(width.numel() for width in widths)


def _common_slope(value: Tensor, widths: list[Tensor]) -> float:
    """The derivative of the value if all widths grow together; a weight that the network does not use adds nothing."""
    import torch

    parts = torch.autograd.grad(value, widths, allow_unused=True)
    return sum(part.sum().item() for part in parts if part is not None)
