"""Training by minibatches: the parameters and the loop that the point estimate and variational inference share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bnnbench import Component, Data, Progress
from bnnbench_plugins.template import fresh_network

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_RISE = 0.3
"""Share of the training during which the one-cycle schedule raises the learning rate."""

_STREAM = (1000,)
"""Sets the randomness of training apart from that of the initial weights, which come from the seed itself."""


class MinibatchTraining(Component):
    """Mixed into every method that minimises a loss over minibatches of the training data."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training data."""
    batch_size: int = Field(default=128, ge=1)
    """Training points in a minibatch; more than there are means all of them."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Step size; under the one-cycle schedule its largest value."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """`one-cycle` raises the learning rate from zero and lowers it to zero again (Smith & Topin 2019)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """`adam` (Kingma & Ba 2015) or plain stochastic gradient descent with momentum."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of the optimizer `sgd`; `adam` does not use it."""

    def minimise(
        self,
        loss: Callable[[Tensor, Tensor], Tensor],
        weights: Sequence[Tensor],
        start: Start,
        progress: Progress,
        weight_decay: float = 0.0,
    ) -> float:
        """Minimise `loss(x, y)`, a mean over the points of a minibatch, by changing the weights in place.

        Each epoch takes every training point once, in a new order. A loss that has more terms than the mean over points
        must scale them by the number of training points, not by the minibatch's. Returns the mean loss of the last
        epoch; raises `FloatingPointError` if an epoch's is not finite.
        """
        import torch

        optimizer = self._optimizer(weights, weight_decay)
        batches = math.ceil(len(start.x) / self.batch_size)
        total = self.epochs * batches
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._relative_rate(step, total))
        mean = math.nan
        for epoch in range(self.epochs):
            note = f"epoch {epoch + 1} of {self.epochs}" + (f", loss {mean:.4f}" if epoch else "")
            summed = torch.zeros((), device=start.x.device)
            for number, (x, y) in enumerate(start.minibatches(self.batch_size), start=1):
                value = loss(x, y)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                rate.step()
                summed += value.detach() * len(x)
                progress(epoch * batches + number, total, note)
            mean = summed.item() / len(start.x)
            if not math.isfinite(mean):
                raise FloatingPointError(f"the loss is {mean} in epoch {epoch + 1}: try a smaller learning_rate")
        return mean

    def _optimizer(self, weights: Sequence[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        import torch

        # The fused update is three times as fast as the default one on a CPU.
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=self.learning_rate, weight_decay=weight_decay, fused=True)
        return torch.optim.SGD(
            weights, lr=self.learning_rate, momentum=self.momentum, weight_decay=weight_decay, fused=True
        )

    def _relative_rate(self, step: int, total: int) -> float:
        if self.schedule == "constant":
            return 1.0
        # The middle of the step: a training of one step alone has a rate above zero too.
        return one_cycle((step + 0.5) / total)


class Start:
    """What a fit begins with, on the template's device.

    Attributes:
        network: a copy of the template in eval mode, in float32, with weights drawn from the seed; all of them train.
        x, y: the training inputs (N, *shape) and labels (N,).
        shuffling: orders the minibatches; on the CPU, so that every device sees the same ones.
        noise: any other randomness of the fit, on the device.

    Raises `Incompatible` if the template has no parameters.
    """

    def __init__(self, template: nn.Module, data: Data, seed: int) -> None:
        import numpy as np
        import torch

        self.network = fresh_network(template, seed)
        device = next(self.network.parameters()).device
        self.x, self.y = (tensor.to(device) for tensor in data.train)
        shuffling, noise = np.random.SeedSequence(seed, spawn_key=_STREAM).generate_state(2).tolist()
        self.shuffling = torch.Generator().manual_seed(shuffling)
        self.noise = torch.Generator(device).manual_seed(noise)

    def minibatches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of every training point once, in a new order at each call, `size` or fewer at a time."""
        import torch

        order = torch.randperm(len(self.x), generator=self.shuffling).to(self.x.device)
        for batch in order.split(size):
            yield self.x[batch], self.y[batch]


def one_cycle(done: float) -> float:
    """The learning rate as a share of its largest value when a share `done` of the training lies behind."""
    phase = done / _RISE if done < _RISE else (1 - done) / (1 - _RISE)
    return 0.5 - 0.5 * math.cos(math.pi * phase)
