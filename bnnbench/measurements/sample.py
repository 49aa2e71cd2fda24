"""The test images that cells are evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.core import seeds
from bnnbench.core.dataset import Data

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sample:
    """Test images `x` (N, *shape), their labels `y` (N,) and their positions `index` (N,) in the test set."""

    x: Tensor
    y: Tensor
    index: Any


def sample_of(data: Data, images: int) -> Sample:
    """The first `images` of one fixed shuffle of the test set, or all if there are fewer."""
    import torch

    index = seeds.test_order(len(data.test[1]))[:images]
    with torch.inference_mode(False):
        return Sample(data.test[0][index], data.test[1][index], index)
