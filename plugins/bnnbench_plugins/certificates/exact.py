"""Certificates by branch and bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Certificate, Incompatible, Proof

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Predictive, Threat


class Exact(Certificate):
    """Branch and bound in the inputs, which decides nearly all images of networks of few inputs.

    The box around each image is bounded by linear relaxation of all draws jointly (`crown`). A box that is not proven
    is split in half, along the side on which the relaxation varies most, and its centre and its least input are tried.
    An image is proven if all its boxes are, and refuted if the predictive, as it computes, gives an allowed input
    another class. Left undecided are images whose boundary is so near to the ball's surface that rounding decides, or
    that the budget does not suffice for. It assumes the same of floating point as `crown`.
    """

    revision: ClassVar[int | None] = 2

    inputs_at_most: int = Field(default=8, ge=1)
    """Largest number of inputs of the network; more are incompatible, for the number of boxes grows exponentially."""
    boxes: int = Field(default=10000, ge=1)
    """Largest number of boxes that are bounded for an image."""

    def prove(self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat) -> Proof:
        from bnnbench_plugins.certificates.branching import Branching

        inputs = math.prod(x.shape[1:])
        if inputs > self.inputs_at_most:
            raise Incompatible(
                f"exact is for networks of at most {self.inputs_at_most} inputs (inputs_at_most), not {inputs}"
            )
        branching = Branching(predictive, draws, x, y, threat, self.boxes)
        return branching.proof()
