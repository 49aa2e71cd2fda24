"""Convolutional networks with group normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, Incompatible, Network
from bnnbench_plugins.networks.activations import Activation, activation

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 8
"""Smallest height and width in pixels: three poolings leave one pixel of them."""


class ConvGroupNorm(Network):
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

    @model_validator(mode="after")
    def _groups_share_channels(self) -> Self:
        if self.width % self.groups:
            raise ValueError(f"width ({self.width}) must be a multiple of groups ({self.groups})")
        return self

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        if len(data.shape) != 3:
            raise Incompatible(
                f"conv-groupnorm needs images (channels, height, width), not inputs of shape {data.shape}"
            )
        channels, height, width = data.shape
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
