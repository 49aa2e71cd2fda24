"""The activations of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "leaky-relu", "tanh", "sigmoid"]


def activation(name: Activation) -> nn.Module:
    """A new module of that activation."""
    from torch import nn

    return {"relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name]()
