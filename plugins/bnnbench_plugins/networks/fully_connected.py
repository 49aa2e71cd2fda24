"""Fully connected networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bnnbench import Data, Network
from bnnbench_plugins.networks.activations import Activation, activation

if TYPE_CHECKING:
    from torch import nn


class FullyConnected(Network):
    """One to five fully connected hidden layers and a linear output layer, for inputs of any shape (flattened)."""

    revision: ClassVar[int | None] = 1

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64, 64), min_length=1, max_length=5)
    """Units of each hidden layer."""
    activation: Activation = "leaky-relu"
    """Activation after each hidden layer."""

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        widths = (math.prod(data.shape), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in zip(widths, self.hidden, strict=False):
            layers += [nn.Linear(before, after), activation(self.activation)]
        return nn.Sequential(*layers, nn.Linear(widths[-1], data.classes))
