"""Convolutional networks with group normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Incompatible
from bnnbench_plugins.networks.activations import Activation, activation
from bnnbench_plugins.networks.group_normalised import GroupNormalised, image_shape

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 8
"""Smallest height and width in pixels: three poolings leave one pixel of them."""


class ConvGroupNorm(GroupNormalised):
    """Six 3x3 convolutions with group normalisation (Wu and He 2018) and a linear layer, for images of CIFAR's size.

    They are three stages of two convolutions, of `width`, 2 `width` and 4 `width` channels, each with 2x2 max pooling
    at its end. Group normalisation has no statistics of a minibatch: training and evaluation compute the same, so that
    every posterior can fit this network. Inputs are images of shape (channels, height, width), of at least 8x8 pixels;
    others are incompatible. With the defaults and 3x32x32 pixels there are 307,946 weights for 10 classes.
    """

    revision: ClassVar[int | None] = 1

    width: int = Field(default=32, ge=1)
    """Channels of the first stage, a multiple of `groups`."""
    groups: int = Field(default=8, ge=1)
    """Groups of channels that are normalised together."""
    activation: Activation = "relu"
    """Activation after each convolution."""

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        channels, height, width = image_shape("conv-groupnorm", data)
        if min(height, width) < SMALLEST:
            raise Incompatible(
                f"conv-groupnorm needs images of {SMALLEST}x{SMALLEST} pixels or more, not {height}x{width}"
            )
        layers: list[nn.Module] = []
        for outputs in (self.width, 2 * self.width, 4 * self.width):
            for inputs in (channels, outputs):
                layers += [
                    nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                    nn.GroupNorm(self.groups, outputs),
                    activation(self.activation),
                ]
            layers.append(nn.MaxPool2d(2))
            channels = outputs
        left = (height // 8) * (width // 8)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * left, data.classes))
