"""The network that is trained on predicted classes, and the points at which it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bnnbench import Predictive


def forked(rng: torch.Generator) -> torch.Generator:
    """A generator on the CPU with a seed from `rng`, which is one number further afterwards."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=rng, device="cpu")))


class Decided(NamedTuple):
    """Points (n, *shape) of the images at positions `at` (n,), with their predicted classes (n,)."""

    at: Tensor
    points: Tensor
    classes: Tensor

    def among(self, kept: Tensor) -> Decided:
        """Some of the points, (n,) bool."""
        return Decided(*(values[kept] for values in self))


class FullyConnected(nn.Module):
    """A fully connected network with ReLU, whose inputs are scaled from the box to [-1, 1].

    The weights are those of He et al. (2015), drawn from `rng`; `like` is a tensor of their dtype and device.
    """

    def __init__(self, sizes: Sequence[int], box: tuple[float, float], like: Tensor, rng: torch.Generator) -> None:
        super().__init__()
        self.middle, self.radius = sum(box) / 2, (box[1] - box[0]) / 2
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in itertools.pairwise(sizes):
            # Layers of torch draw from its global generator.
            uniform = torch.rand(outputs, inputs, generator=rng, dtype=torch.float32, device="cpu") * 2 - 1
            self.weights.append(nn.Parameter(math.sqrt(6 / inputs) * uniform.to(like)))
            self.biases.append(nn.Parameter(like.new_zeros(outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs x (N, *shape)."""
        values = (x.flatten(1) - self.middle) / self.radius
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = nn.functional.linear(values.relu() if layer else values, weight, bias)
        return values


@dataclass(frozen=True, eq=False)
class Training:
    """How substitutes are trained.

    `box` is the box of the inputs, `largest` the largest class that is known beforehand, and `rng` the source of all
    random numbers.
    """

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    box: tuple[float, float]
    largest: int
    rng: torch.Generator

    def network(self, decided: Sequence[Decided]) -> FullyConnected:
        """A new network, trained by cross-entropy on all decided points."""
        points = torch.cat([batch.points for batch in decided])
        classes = torch.cat([batch.classes for batch in decided])
        # An attacker that sees predicted classes alone does not know how many there are.
        outputs = 1 + max(1, self.largest, int(classes.max()))
        network = FullyConnected((points[0].numel(), *self.hidden, outputs), self.box, points, self.rng)
        with torch.enable_grad():
            optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
            for _ in range(self.epochs):
                order = torch.randperm(len(points), generator=self.rng, device="cpu").to(points.device)
                for batch in order.split(self.batch_size):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(network(points[batch]), classes[batch]).backward()
                    optimizer.step()
        return network

    def predictive(self, decided: Sequence[Decided]) -> Predictive:
        """The predictive of one draw that such a network is."""
        network = self.network(decided)
        weights = {name: weight.detach()[None] for name, weight in network.named_parameters()}
        return Predictive(network, weights, outputs="logits")


def along(network: nn.Module, decided: Decided, step: float, box: tuple[float, float]) -> Tensor:
    """Points (n, *shape), each a step along the sign of the gradient of the network's logit of its decided class.

    The step is in widths of the box, into which points outside of it are moved.
    """
    with torch.enable_grad():
        points = decided.points.detach().clone().requires_grad_()
        logits = network(points).gather(1, decided.classes[:, None])
        (gradient,) = torch.autograd.grad(logits.sum(), points)
    return (decided.points + step * (box[1] - box[0]) * gradient.sign()).clamp(*box)
