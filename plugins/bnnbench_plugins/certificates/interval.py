"""Certificates by interval bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bnnbench import Certificate, Proof

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Predictive, Threat


class IntervalBounds(Certificate):
    """Interval bound propagation (Gowal et al. 2018) through each draw's network.

    The bounds of each draw's logits bound its probabilities, and their mean over the draws. It is cheap, and proves
    little beyond small radii: a layer's units are taken to be independent. It assumes the same of floating point as
    `crown`.
    """

    revision: ClassVar[int | None] = 2

    def prove(self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat) -> Proof:
        from bnnbench_plugins.certificates.relaxation import Relaxation

        bound = Relaxation(predictive, draws, x, threat, refined=0).by_intervals(y)
        return Proof(certified=bound > 0, bound=bound)
