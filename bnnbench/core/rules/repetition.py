"""The rule that an attack gives the same result for the same seed, to the bit or up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 0.01
"""The largest difference of a coordinate that passes for rounding, as a share of the image's largest perturbation."""
FLIPPED = 0.02
"""The largest share of coordinates that may differ by more than rounding."""


def repeats(x: Tensor, one: Tensor, other: Tensor, device: torch.device) -> bool:
    """Whether two results (N, *shape) of an attack at inputs x count as the same, on the device that computed them.

    On a CPU they must have the same bits. Other devices sum in an order that changes from run to run (atomic additions)
    or choose among algorithms (cuDNN), so there they must agree up to rounding.
    """
    return torch.equal(one, other) if device.type == "cpu" else agree_up_to_rounding(x, one, other)


def agree_up_to_rounding(x: Tensor, one: Tensor, other: Tensor) -> bool:
    """Whether two perturbations of inputs x (N, *shape) differ by no more than rounding can explain.

    A coordinate agrees if it differs by at most `ROUNDING` of the largest perturbation of its image, plus a few units
    in the last place. The share `FLIPPED` of all coordinates need not agree: where a slope is nearly zero, rounding
    decides its sign, and a step along the sign goes the other way. Of fewer than 1 / `FLIPPED` coordinates all must
    agree. Random numbers that do not come from the seed change nearly all coordinates.
    """
    largest = torch.maximum((one - x).abs(), (other - x).abs()).flatten(1).amax(1)
    last_place = torch.finfo(x.dtype).eps * torch.maximum(one.abs(), other.abs()).flatten(1)
    differs = (one - other).abs().flatten(1) > ROUNDING * largest[:, None] + 4 * last_place
    return int(differs.sum()) <= FLIPPED * differs.numel()
