"""What tests of a real CUDA GPU share: the marks, and small problems."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

import bnnbench as bb

CUDA = torch.cuda.is_available()
MARKS = [pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="torch finds no CUDA device here")]
"""The marks of a module whose tests need a GPU."""
TOLERANCE = 1e-3
"""Largest difference of log-probabilities between a GPU and the CPU for the same draws, in nats."""


def sample(points: int = 64) -> bb.Data:
    """Points of two classes in the unit box, as small images."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(points, 1, 8, 8, generator=generator)
    y = (x[:, 0, :, :4].mean((1, 2)) > x[:, 0, :, 4:].mean((1, 2))).long()
    return bb.Data(train=(x, y), test=(x[:16], y[:16]), classes=2)


def convolutional() -> nn.Module:
    """A network with a convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))


def plain() -> nn.Module:
    """A fully connected network."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 2))


def ensemble(sizes: tuple[int, ...], draws: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A chain of linear layers, and random draws of its weights, on the CPU."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU()]
    network = nn.Sequential(*layers[:-1])
    generator = torch.Generator().manual_seed(0)
    return network, {
        name: weight.detach() + 0.02 * torch.randn(draws, *weight.shape, generator=generator)
        for name, weight in network.state_dict().items()
    }
