"""The parameters that networks with group normalisation share."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from bnnbench import Data, Incompatible, Network


class GroupNormalised(Network):
    """A network of images in three stages of `width`, 2 `width` and 4 `width` channels, with group normalisation."""

    width: int = Field(default=16, ge=1)
    """Channels of the first stage, a multiple of `groups`."""
    groups: int = Field(default=4, ge=1)
    """Groups of channels that are normalised together."""

    @model_validator(mode="after")
    def _groups_share_channels(self) -> Self:
        if self.width % self.groups:
            raise ValueError(f"width ({self.width}) must be a multiple of groups ({self.groups})")
        return self


def image_shape(name: str, data: Data) -> tuple[int, int, int]:
    """The shape (channels, height, width) of the data's images.

    Raises `Incompatible`, with the name of the network, if the inputs are no images.
    """
    if len(data.shape) != 3:
        raise Incompatible(f"{name} needs images (channels, height, width), not inputs of shape {data.shape}")
    channels, height, width = data.shape
    return channels, height, width
