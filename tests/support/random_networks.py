"""Ensembles of small random networks, and their worst inputs that a few attacks find."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import bnnbench as bb

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Residual(nn.Module):
    """A network of functions and operators: normalised inputs, a residual block, batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.norm = nn.BatchNorm1d(5)
        self.register_buffer("mean", torch.full((5,), 0.4))

    def forward(self, x: Tensor) -> Tensor:
        x = (x.flatten(1) - self.mean) / 0.5
        x = x + torch.relu(self.norm(self.first(x)))
        return self.last(nn.functional.dropout(torch.tanh(self.second(x)), training=self.training))


def network(kind: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A network by the name of its activation, or `conv` or `residual`, and the shape of its inputs."""
    if kind == "residual":
        return Residual(), (5,)
    if kind == "conv":
        layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2), nn.Tanh()]
        return nn.Sequential(*layers, nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(4, 3)), (1, 6, 6)
    act = ACTIVATIONS[kind]
    return nn.Sequential(nn.Linear(5, 7), act(), nn.Linear(7, 6), act(), nn.Linear(6, 3)), (5,)


def ensemble(kind: str, *, draws: int = 3, scale: float = 1.0, seed: int = 0) -> tuple[bb.Predictive, tuple[int, ...]]:
    """An ensemble of a network with random weights."""
    module, shape = network(kind)
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: (scale * torch.randn(draws, *value.shape, generator=generator)).numpy()
        for name, value in module.named_parameters()
    }
    return bb.Predictive(module, weights), shape


def margin(predictive: bb.Predictive, x: Tensor, y: Tensor) -> Tensor:
    """The probability of the labels less the largest of another class, (N,), in float64."""
    probabilities = predictive.log_probs(x).double().exp()
    own = probabilities.gather(1, y[:, None])[:, 0]
    return own - probabilities.scatter(1, y[:, None], -1.0).amax(1)


def least_margin(predictive: bb.Predictive, x: Tensor, y: Tensor, threat: bb.Threat, *, tries: int = 40) -> Tensor:
    """The least margins (N,) that random inputs, corners of the ball and PGD find."""
    generator = torch.Generator().manual_seed(0)
    attack = bb.attack("pgd", steps=10, objective="log-margin", restarts=2)
    least = torch.minimum(margin(predictive, x, y), margin(predictive, attack(predictive, x, y, threat), y))
    for number in range(tries):
        other = threat.signs(x, generator) if number % 2 else threat.uniform(x, generator)
        least = torch.minimum(least, margin(predictive, other, y))
    return least
