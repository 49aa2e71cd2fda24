"""Stochastic weight averaging with a normal distribution."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Posterior, Progress, no_progress
from bnnbench.authoring import BatchNormStatistics, kept_buffers, recalibrated
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start, part_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.torch.swag_moments import SwagMoments


class Swag(MinibatchTraining, BatchNormStatistics, NormalPrior, Posterior):
    """A normal distribution around the mean of the weights of SGD (SWAG, Maddox et al. 2019).

    The network is trained as usual for `epochs`, then by SGD with a constant learning rate for `collect_epochs`. The
    weights at the end of each of these epochs are collected: the draws are normal, with their mean and a covariance of
    half of their variances and half of their last `rank` deviations (`SwagMoments`). The loss of both phases is the
    mean cross-entropy + sum of all squared weights / (2 N prior_scale^2) for N training points, so that its minimum is
    the mode of the posterior. The width of the draws is that of the iterates: it depends on `swag_learning_rate` and
    `batch_size`, and equals that of the posterior for no known choice of them.

    Dropout acts as usual during the training. Each draw has its own statistics of batch norm, as in the paper.
    """

    revision: ClassVar[int | None] = 1
    independent_draws: ClassVar[bool] = True

    epochs: int = Field(default=50, ge=1)
    """Passes over the training data before weights are collected."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Step size of the optimizer in these passes; under the one-cycle schedule, its largest value."""
    collect_epochs: int = Field(default=30, ge=2)
    """Passes over the training data with a constant learning rate; the weights after each are collected."""
    swag_learning_rate: float = Field(default=0.05, gt=0)
    """Step size of these passes. They use stochastic gradient descent with `momentum`, whatever `optimizer` is."""
    rank: int = Field(default=20, ge=0)
    """The largest number of deviations in the low-rank part of the covariance. 0 gives SWAG-Diagonal."""
    scale: float = Field(default=1.0, ge=0)
    """Factor of the covariance. 1 gives that of the paper, 0 the averaged weights alone (SWA, Izmailov et al. 2018)."""
    batch_norm: Literal["frozen", "recalibrated"] = "recalibrated"
    """Statistics of batch norm. `recalibrated`: each draw has its own, estimated on the training inputs. `frozen`: all
    draws share those that the training has gathered."""

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws: arrays (1, draws, *weight).

        Diagnostics: `loss`, the mean training loss of the last epoch in nats; `pretraining_loss`, that of the last
        epoch before weights are collected; `collected`, the number of iterates; and `seconds`, the wall time. Raises
        `Incompatible` for a network without parameters, `FloatingPointError` if the training diverges.
        """
        began = time.perf_counter()
        start = Start(network, data, seed)
        before, final, moments = self._trained(start, progress)
        draws = Draws(
            self._drawn(moments, start),
            shared=kept_buffers(start.network),
            diagnostics={"loss": final, "pretraining_loss": before, "collected": moments.collected},
        )
        if self.batch_norm == "recalibrated":
            draws = recalibrated(draws, start.network, start.x)
        draws.diagnostics["seconds"] = time.perf_counter() - began
        return draws

    def _trained(self, start: Start, progress: Progress) -> tuple[float, float, SwagMoments]:
        """Train the network in both phases: the loss at the end of each, and the moments of the second."""
        from torch.nn.functional import cross_entropy
        from torch.nn.utils import parameters_to_vector

        from bnnbench_plugins.torch.swag_moments import SwagMoments

        weights, decay = list(start.network.parameters()), 1 / (len(start.x) * self.prior_scale**2)
        moments = SwagMoments(self.rank)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(start.network(x), y)

        collecting = self.model_copy(
            update={
                "epochs": self.collect_epochs,
                "optimizer": "sgd",
                "schedule": "constant",
                "learning_rate": self.swag_learning_rate,
            }
        )
        first = part_of(progress, epochs=self.epochs, after=self.collect_epochs)
        before = self.minimise(loss, weights, start, first, decay)
        second = part_of(progress, epochs=self.collect_epochs, before=self.epochs)
        final = collecting.minimise(
            loss, weights, start, second, decay, lambda: moments.collect(parameters_to_vector(weights))
        )
        return before, final, moments

    def _drawn(self, moments: SwagMoments, start: Start) -> dict[str, Tensor]:
        """Draws as arrays (1, draws, *weight) by the names of the weights."""
        drawn = moments.draw(self.draws, self.scale, start.noise)
        weights = dict(start.network.named_parameters())
        parts = drawn.split([weight.numel() for weight in weights.values()], dim=1)
        return {
            name: part.reshape(1, self.draws, *weight.shape)
            for (name, weight), part in zip(weights.items(), parts, strict=True)
        }
