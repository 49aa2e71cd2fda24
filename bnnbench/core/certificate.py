"""The base class of certificates: proofs that no attack within a ball succeeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bnnbench.core.component import Component

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench.core.predictive import Predictive
    from bnnbench.core.threat import Threat


@dataclass(frozen=True, eq=False)
class Proof:
    """What a certificate proves about N images.

    `certified` (N,) bool says at which images it is proven that the predictive gives every input of the ball, within
    the box, the label. `bound` (N,) is a lower bound, over these inputs, of the probability of the label minus the
    largest probability of another class, in [-1, 1]; None if the certificate computes none. `refuted` (N,) bool says
    at which images an input of another class was found; None if the certificate looks for none. An image is neither if
    the certificate does not decide it.
    """

    certified: Tensor
    bound: Tensor | None = None
    refuted: Tensor | None = None


class Certificate(Component):
    """A method that proves robustness. Its fields are its parameters; an author writes `prove`."""

    kind: ClassVar[str] = "certificate"
    about: ClassVar[Literal["predictive", "posterior"]] = "predictive"
    """What a proof is about: the predictive of the draws that defend, or the posterior of which they are draws.

    Only a proof about the predictive excludes attacks on it. One about the posterior is a statement about new draws,
    with a confidence; its `bound` is what the certificate says.
    """

    def prove(self, predictive: Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: Threat) -> Proof:
        """What is proven about the images x (N, *shape) with labels y (N,).

        The proof is about the mean, over the draws at these positions, of the draws' probabilities: the predictive
        whose draws defend. It must hold for the predictive as it is computed, in floating point. Raises `Incompatible`
        if the method cannot treat the network or the threat; those cells are skipped.

        Args:
            predictive: the ensemble.
            draws: the positions of the draws that defend.
            x: images within the box of the threat.
            y: labels.
            threat: the ball and the box, in a cell widened by the rounding that attacks are allowed. Streams, access
                and queries of the attacker are of no account.
        """
        raise NotImplementedError
