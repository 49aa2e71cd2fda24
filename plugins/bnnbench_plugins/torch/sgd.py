"""A point estimate: one network, trained by minibatches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, Posterior, Progress, no_progress
from bnnbench.authoring import kept_buffers
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn


class PointEstimate(MinibatchTraining, Posterior):
    """A posterior of one draw, the network whose weights minimise a loss; a subclass says which."""

    draws: int = Field(default=1, ge=1, le=1)
    """Always 1: the trained network."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Factor w of the penalty w / 2 * (sum of all squared weights and biases), added to the mean cross-entropy."""

    def loss(self, start: Start, data: Data) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of minibatches of inputs and labels, the mean over their points, for `start.network`."""
        raise NotImplementedError

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The trained weights as one draw: arrays (1, 1, *weight).

        All parameters are trained, including those with `requires_grad=False`. Diagnostics: `loss`, the mean training
        loss of the last epoch in nats, and `seconds`, the wall time. Raises `Incompatible` for a network without
        parameters, `FloatingPointError` if the training diverges.
        """
        began = time.perf_counter()
        start = Start(network, data, seed)
        weights = dict(start.network.named_parameters())
        final = self.minimise(self.loss(start, data), list(weights.values()), start, progress, self.weight_decay)
        return Draws(
            {name: weight[None, None] for name, weight in weights.items()},
            shared=kept_buffers(start.network),
            diagnostics={"loss": final, "seconds": time.perf_counter() - began},
        )


class Sgd(PointEstimate):
    """One network, trained by minibatches to minimise the mean cross-entropy: the deterministic baseline.

    Its predictive is an ensemble of one draw. Batch norm and dropout act as usual during the training; the statistics
    that batch norm has gathered are kept with the draw.
    """

    revision: ClassVar[int | None] = 2

    def loss(self, start: Start, data: Data) -> Callable[[Tensor, Tensor], Tensor]:
        from torch.nn.functional import cross_entropy

        return lambda x, y: cross_entropy(start.network(x), y)
