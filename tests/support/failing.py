"""Models and attacks that a check must find not to work, and sound ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

import bnnbench as bb


class Idle(bb.Attack):
    """Returns its inputs: an iterative attack that has lost all its iterates."""

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative"})

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: object
    ) -> torch.Tensor:
        return x.clone()


class Backwards(Idle):
    """Descends the objective: the wrong sign."""

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: object
    ) -> torch.Tensor:
        found = x
        for _ in range(10):
            slope = victim.direction(found, y, "predictive-nll")
            found = threat.project(x, found - threat.epsilon / 4 * threat.steepest(slope))
        return found


class Steps(torch.nn.Module):
    """A network whose inputs are rounded to steps, with a gradient that has nothing to do with them."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = (50 * x.detach()).round() / 50
        wave = torch.sin(1e4 * x)
        return self.last(torch.tanh(self.first(steps + 1e-4 * (wave - wave.detach()))))


class Rugged(torch.nn.Module):
    """Logits that differ at any two inputs, however near."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(5.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wave = torch.sin(1e5 * x.sum(1, keepdim=True))
        return self.scale * torch.cat([wave, -wave], 1)


def ensemble(
    *, draws: int = 3, inputs: int = 16, hidden: int = 24, classes: int = 3, masked: bool = False
) -> bb.Predictive:
    """Random networks of one hidden layer; the gradient of `masked` ones leads nowhere."""
    generator = np.random.default_rng(0)
    network: torch.nn.Module = torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, classes)
    )
    if masked:
        network = Steps(inputs, hidden, classes)
    weights = {
        name: (generator.normal(size=(draws, *tensor.shape)) / np.sqrt(tensor.shape[-1])).astype("f4")
        for name, tensor in network.state_dict().items()
    }
    return bb.Predictive(network, weights)


def images(*, number: int = 32, inputs: int = 16, classes: int = 3) -> bb.Data:
    """Inputs in the unit box."""
    generator = np.random.default_rng(1)
    x = generator.uniform(size=(number, inputs)).astype("f4")
    return bb.Data(test=(x, generator.integers(0, classes, number)), classes=classes)
