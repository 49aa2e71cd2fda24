"""Convolutional networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Incompatible, Network
from bnnbench_plugins.networks.activations import Activation, activation

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 16
"""Smallest height and width in pixels: two 5x5 convolutions and two poolings leave nothing of a smaller image."""


class Convolutional(Network):
    """Two 5x5 convolutions (to 32 channels and to `hidden`), each followed by 2x2 max pooling, and a linear layer.

    The strides of the poolings are 2 and 1. This is the convolutional architecture of Carbone et al. (2020). Inputs are
    images of shape (channels, height, width), of at least 16x16 pixels; others are incompatible.
    """

    revision: ClassVar[int | None] = 1

    hidden: int = Field(default=32, ge=1)
    """Output channels of the second convolution."""
    activation: Activation = "leaky-relu"
    """Activation after each convolution."""

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        if len(data.shape) != 3:
            raise Incompatible(f"conv needs images (channels, height, width), not inputs of shape {data.shape}")
        channels, height, width = data.shape
        if min(height, width) < SMALLEST:
            raise Incompatible(f"conv needs images of {SMALLEST}x{SMALLEST} pixels or more, not {height}x{width}")
        rows, columns = (((side - 4) // 2 - 4) - 1 for side in (height, width))
        return nn.Sequential(
            nn.Conv2d(channels, 32, 5),
            activation(self.activation),
            nn.MaxPool2d(2),
            nn.Conv2d(32, self.hidden, 5),
            activation(self.activation),
            nn.MaxPool2d(2, stride=1),
            nn.Flatten(),
            nn.Linear(self.hidden * rows * columns, data.classes),
        )
