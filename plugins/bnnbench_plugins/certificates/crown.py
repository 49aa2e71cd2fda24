"""Certificates by linear relaxation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Certificate, Proof

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Predictive, Threat


class Crown(Certificate):
    """Linear relaxation of each draw's network (CROWN, Zhang et al. 2018), and of all draws jointly.

    The predictive gives another class k than the label y only if the mean over draws of p_y - p_k is not positive. With
    the difference m = z_y - z_k of a draw's logits, p_y - p_k >= phi(m), a rising function that depends on bounds of
    the other classes. Two bounds of the mean are computed. *Per draw*: phi of each draw's lower bound of m, averaged.
    *Joint*: phi is bounded from below by a line on the interval of m, so that the sum over draws becomes one function
    of all their logits, which is relaxed back to the inputs that all draws share. The joint bound keeps that one input
    is not the worst one of all draws at once.

    Images that are not proven are looked at again. `steps` steps of gradient ascent improve the slopes of the joint
    relaxation (alpha-CROWN, Xu et al. 2021). `cuts` times, in the linf norm, the ball is cut to the side of a plane on
    which the joint bound leaves room for an adversarial input, and all bounds are computed anew for that part (after
    Kotha et al. 2023). Bounds of hidden layers are those of intervals, narrowed by linear relaxation.

    Bounds are computed in float64 and hold for probabilities as the predictive computes them: each layer's rounding
    error is bounded in advance. It is assumed that the predictive's products are not computed in bfloat16 or TF32, nor
    its convolutions by Winograd's algorithm.
    """

    revision: ClassVar[int | None] = 2

    joint: bool = True
    """Bound all draws jointly, too."""
    steps: int = Field(default=0, ge=0)
    """Steps of gradient ascent of the joint bound; 0 for none. They cost most, and prove few further images."""
    cuts: int = Field(default=2, ge=0)
    """Times that the ball is cut and bounded anew; 0 for none."""
    refined: int = Field(default=1024, ge=0)
    """Largest number of units of a hidden layer whose interval bounds are narrowed by linear relaxation."""

    def prove(self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat) -> Proof:
        from bnnbench_plugins.certificates.relaxation import Relaxation

        relaxation = Relaxation(predictive, draws, x, threat, self.refined)
        bound = relaxation.bounds(y, joint=self.joint, steps=self.steps, cuts=self.cuts)
        return Proof(certified=bound > 0, bound=bound)
