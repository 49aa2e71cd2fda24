"""Shapes of values that belong to images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def per_image(values: Tensor, batch: Tensor) -> Tensor:
    """Values (N,) in a shape that broadcasts over the images of a batch (N, *shape)."""
    return values.view(-1, *[1] * (batch.ndim - 1))
