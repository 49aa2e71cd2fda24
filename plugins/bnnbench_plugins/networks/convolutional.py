"""Convolutional networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Incompatible, Network
from bnnbench_plugins.networks.activations import Activation, activation

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 16
"""Two 5x5 convolutions and two poolings leave nothing of a smaller image."""


class Convolutional(Network):
    """Convolution 5x5 to 32 channels, pooling 2x2, convolution 5x5 to `hidden`, pooling 2x2 of stride 1, linear.

    The paper's convolutional architecture, for images of shape (channels, height, width) of at least 16x16 pixels.
    """

    revision: ClassVar[int | None] = 1

    hidden: int = Field(default=32, ge=1)
    """Channels of the second convolution."""
    activation: Activation = "leaky-relu"
    """What follows each convolution."""

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
