"""LeNet-5."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Incompatible, Network
from bnnbench_plugins.networks.activations import Activation, activation
from bnnbench_plugins.networks.group_normalised import image_shape

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 12
"""Smallest height and width in pixels: of 12 pixels, the second pooling leaves one."""


class LeNet(Network):
    """LeNet-5 (LeCun et al. 1998) in its modern form: two convolutions and three linear layers.

    A 5x5 convolution to 6 channels, whose padding of 2 keeps the size, and a 5x5 convolution to 16 channels are each
    followed by the activation and 2x2 mean pooling. Linear layers to 120 and 84 units and to the classes follow. The
    paper's partial connections, the weights of its poolings and its radial basis functions are left out, as is usual.
    Inputs are images of shape (channels, height, width), of at least 12x12 pixels; others are incompatible, such as
    those of `digits` (8x8), for which `resnet-small` serves. With 28x28 grey pixels, which the paper pads to 32x32 too,
    there are 61,706 weights for 10 classes.
    """

    revision: ClassVar[int | None] = 1

    width: int = Field(default=1, ge=1)
    """The factor by which there are more channels and units than in LeNet-5."""
    activation: Activation = "tanh"
    """Activation after each layer but the last."""

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        channels, height, width = image_shape("lenet", data)
        if min(height, width) < SMALLEST:
            raise Incompatible(
                f"lenet needs images of {SMALLEST}x{SMALLEST} pixels or more, not {height}x{width}; resnet-small takes "
                "images of any size"
            )
        first, second, third, fourth = (self.width * units for units in (6, 16, 120, 84))
        rows, columns = ((side // 2 - 4) // 2 for side in (height, width))
        return nn.Sequential(
            nn.Conv2d(channels, first, 5, padding=2),
            activation(self.activation),
            nn.AvgPool2d(2),
            nn.Conv2d(first, second, 5),
            activation(self.activation),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(second * rows * columns, third),
            activation(self.activation),
            nn.Linear(third, fourth),
            activation(self.activation),
            nn.Linear(fourth, data.classes),
        )
