"""Residual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data
from bnnbench_plugins.networks.activations import Activation, activation
from bnnbench_plugins.networks.group_normalised import GroupNormalised, image_shape

if TYPE_CHECKING:
    from torch import nn


class ResNetSmall(GroupNormalised):
    """A small residual network (He et al. 2016) with group normalisation (Wu and He 2018), for images of any size.

    A 3x3 convolution to `width` channels is followed by three stages of `blocks` residual blocks, of `width`, 2 `width`
    and 4 `width` channels. The second and third stage halve height and width, rounded up. The mean of each channel over
    the image goes into a linear layer. Group normalisation has no statistics of a minibatch: training and evaluation
    compute the same, so that every posterior can fit this network. Inputs have shape (channels, height, width); others
    are incompatible. With the defaults and 3x32x32 pixels there are 78,042 weights for 10 classes.
    """

    revision: ClassVar[int | None] = 1

    blocks: int = Field(default=1, ge=1)
    """Residual blocks of each of the three stages."""
    activation: Activation = "relu"
    """Activation after each convolution and after each sum."""

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        from bnnbench_plugins.networks.residual_block import ResidualBlock

        colours, _, _ = image_shape("resnet-small", data)
        layers: list[nn.Module] = [
            nn.Conv2d(colours, self.width, 3, padding=1, bias=False),
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
