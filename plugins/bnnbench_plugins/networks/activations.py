"""The activations of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "leaky-relu", "tanh", "sigmoid"]
"""The names of activations, as a parameter's type."""


def activation(name: Activation) -> nn.Module:
    """A new module that computes the named activation."""
    from torch import nn

    return {"relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name]()
