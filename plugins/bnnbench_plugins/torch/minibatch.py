"""Training by minibatches: the parameters and the loop that `sgd` and `bayes-by-backprop` share."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bnnbench import Component, Data, Progress
from bnnbench.authoring import (
    check_gradient,
    fresh_network,
    in_eval_mode,
    in_train_mode,
    layers_seed,
    training_seeds,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_RISE = 0.3
"""Fraction of the training during which the one-cycle schedule raises the learning rate."""


class MinibatchTraining(Component):
    """A mixin with the parameters and the loop of a training by minibatches."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training data."""
    batch_size: int = Field(default=128, ge=1)
    """Training points in a minibatch. If it is larger than the training set, a minibatch holds all points."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """`one-cycle`: the learning rate rises from zero and falls back to zero (Smith and Topin 2019)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """`adam` (Kingma and Ba 2015), or `sgd`: stochastic gradient descent with momentum."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of the optimizer `sgd`; `adam` does not use it."""

    def minimise(
        self,
        loss: Callable[[Tensor, Tensor], Tensor],
        weights: Sequence[Tensor],
        start: Start,
        progress: Progress,
        weight_decay: float = 0.0,
        after_epoch: Callable[[], None] = lambda: None,
    ) -> float:
        """Change the weights in place so that they minimise a loss, and return the mean loss of the last epoch.

        Each epoch uses every training point once, in a new order. The network is in train mode meanwhile: batch norm
        gathers its statistics and dropout acts, with random numbers from the fit's seed. Afterwards it is in eval mode.

        Args:
            loss: a function of a minibatch's inputs and labels: the mean over its points. Other terms, such as a
                divergence, must be divided by the number of training points, not by that of the minibatch.
            weights: the tensors to change.
            start: the training data, and the generator of their order.
            progress: called after every minibatch.
            weight_decay: factor of the weights that is added to their gradients.
            after_epoch: called after every epoch.

        Raises `FloatingPointError` if the mean loss of an epoch is not finite.
        """
        with start.training():
            return self._minimised(loss, weights, start, progress, weight_decay, after_epoch)

    def _minimised(
        self,
        loss: Callable[[Tensor, Tensor], Tensor],
        weights: Sequence[Tensor],
        start: Start,
        progress: Progress,
        weight_decay: float,
        after_epoch: Callable[[], None],
    ) -> float:
        """The loop of `minimise`."""
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
            after_epoch()
        return mean

    def _optimizer(self, weights: Sequence[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        import torch

        # On a CPU the fused update is three times as fast as the default one.
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=self.learning_rate, weight_decay=weight_decay, fused=True)
        return torch.optim.SGD(
            weights, lr=self.learning_rate, momentum=self.momentum, weight_decay=weight_decay, fused=True
        )

    def _relative_rate(self, step: int, total: int) -> float:
        if self.schedule == "constant":
            return 1.0
        # The rate in the middle of the step, so that it is above zero even if there is only one step.
        return one_cycle((step + 0.5) / total)


class Start:
    """The network, data and generators at the start of a fit, on the template's device.

    Attributes:
        network: a copy of the template in eval mode, in float32, with weights drawn from the seed. All weights train.
        x: the training inputs (N, *shape).
        y: the training labels (N,).
        shuffling: the generator of the order of minibatches, on the CPU so that the order is the same on every device.
        noise: the generator of all other random numbers of the fit, on the device.

    Raises `Incompatible` if the template has no parameters, `NetworkError` if it gives no gradient in train mode.
    """

    def __init__(self, template: nn.Module, data: Data, seed: int) -> None:
        import torch

        self.network = fresh_network(template, seed)
        device = next(self.network.parameters()).device
        self.x, self.y = (tensor.to(device) for tensor in data.train)
        check_gradient(self.network, self.x[:2], training=True)
        shuffling, noise = training_seeds(seed)
        self.shuffling = torch.Generator().manual_seed(shuffling)
        self.noise = torch.Generator(device).manual_seed(noise)
        self._layers_seeds = itertools.count(layers_seed(seed))
        self._needs_pairs = any("BatchNorm" in type(layer).__name__ for layer in self.network.modules())

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """A context in which the network is in train mode, and the random numbers of its layers come from the seed.

        A second training of the same network has other random numbers.
        """
        import torch

        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            # Dropout draws from torch's global generators.
            torch.manual_seed(next(self._layers_seeds))
            in_train_mode(self.network)
            try:
                yield
            finally:
                in_eval_mode(self.network)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """A context inside of `training` in which the network is in eval mode."""
        in_eval_mode(self.network)
        try:
            yield
        finally:
            in_train_mode(self.network)

    def minibatches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Minibatches of inputs and labels: every training point once, in a new order at each call.

        Each minibatch has `size` points; the last one may have fewer. For a network with batch norm, which cannot be
        trained on one point, a last minibatch of one point is joined to the one before it.
        """
        import torch

        order = torch.randperm(len(self.x), generator=self.shuffling).to(self.x.device)
        batches = list(order.split(size))
        if self._needs_pairs and len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        for batch in batches:
            yield self.x[batch], self.y[batch]


def part_of(progress: Progress, *, epochs: int, before: int = 0, after: int = 0) -> Progress:
    """A callback for a training of some epochs that counts the epochs before and after it too."""

    def told(done: int, total: int, note: str = "") -> None:
        batches = total // epochs
        progress(before * batches + done, total + (before + after) * batches, note)

    return told


def one_cycle(done: float) -> float:
    """The one-cycle learning rate as a fraction of its largest value, in [0, 1].

    `done` is the completed fraction of the training, in [0, 1]. The rate rises along half a cosine, then falls along
    another (Smith and Topin 2019).
    """
    phase = done / _RISE if done < _RISE else (1 - done) / (1 - _RISE)
    return 0.5 - 0.5 * math.cos(math.pi * phase)
