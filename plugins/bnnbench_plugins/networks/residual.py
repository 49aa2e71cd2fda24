"""Residual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, Incompatible, Network
from bnnbench_plugins.networks.activations import Activation, activation

if TYPE_CHECKING:
    from torch import nn


class ResNetSmall(Network):
    """A small residual network (He et al. 2016) with group normalisation (Wu and He 2018), for images of any size.

    A 3x3 convolution to `width` channels is followed by three stages of `blocks` residual blocks, of `width`, 2 `width`
    and 4 `width` channels. The second and third stage halve height and width, rounded up. The mean of each channel over
    the image goes into a linear layer. Group normalisation has no statistics of a minibatch: training and evaluation
    compute the same, so that every posterior can fit this network. Inputs have shape (channels, height, width); others
    are incompatible. With the defaults and 3x32x32 pixels there are 78,042 weights for 10 classes.
    """

    revision: ClassVar[int | None] = 1

    width: int = Field(default=16, ge=1)
    """Channels of the first stage, a multiple of `groups`."""
    blocks: int = Field(default=1, ge=1)
    """Residual blocks of each of the three stages."""
    groups: int = Field(default=4, ge=1)
    """Groups of channels that are normalised together."""
    activation: Activation = "relu"
    """Activation after each convolution and after each sum."""

    @model_validator(mode="after")
    def _groups_share_channels(self) -> Self:
        if self.width % self.groups:
            raise ValueError(f"width ({self.width}) must be a multiple of groups ({self.groups})")
        return self

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        from bnnbench_plugins.networks.residual_block import ResidualBlock

        if len(data.shape) != 3:
            raise Incompatible(f"resnet-small needs images (channels, height, width), not inputs of shape {data.shape}")
        layers: list[nn.Module] = [
            nn.Conv2d(data.shape[0], self.width, 3, padding=1, bias=False),
            nn.GroupNorm(self.groups, self.width),
            activation(self.activation),
        ]
        channels = self.width
        for stage in range(3):
            outputs = self.width * 2**stage
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(channels, outputs, stride, self.groups, self.activation))
                channels = outputs
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, data.classes))
