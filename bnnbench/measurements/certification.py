"""The result of a certificate: what it proves at each image, and the figures computed from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.threat import Threat
from bnnbench.measurements import findings
from bnnbench.measurements.findings import Findings
from bnnbench.measurements.per_image import Curve, PerImage
from bnnbench.measurements.schema import CLASS, IMAGE, Quantity, Schema

Array = NDArray[Any]

CERTIFICATION = Schema(
    (
        Quantity("index", (IMAGE,), "int", "", "position in the test set"),
        Quantity("clean_log_probs", (IMAGE, CLASS), "float", "nats", "clean prediction", log_probability=True),
        Quantity("label", (IMAGE,), "int", "class", "label", label=True),
        Quantity("clean_entropy", (IMAGE,), "float", "nats", "mean entropy of the draws at the clean input"),
        Quantity("certified", (IMAGE,), "bool", "", "every input of the ball is proven to be given the label"),
        Quantity("bound", (IMAGE,), "float", "", "lower bound of the probability margin in the ball", optional=True),
        Quantity("refuted", (IMAGE,), "bool", "", "an input of another class is in the ball", optional=True),
        Quantity("draws", (), "int", "draws", "draws that defend"),
    )
)
"""The arrays and numbers of a certification."""


@dataclass(frozen=True, repr=False, eq=False)
class Certification(PerImage):
    """What a certificate proves about N images of K classes under one threat.

    Arrays:

    - `index` (N,): positions in the test set
    - `label` (N,): labels
    - `clean_log_probs` (N, K): log-probabilities of the predictive
    - `clean_entropy` (N,): mean over draws of each draw's entropy, in nats
    - `certified` (N,): whether every input of the ball, within the box, is proven to be given the label
    - `bound` (N,): lower bound, over these inputs, of the probability of the label minus the largest one of another
      class; None if the certificate computes none
    - `refuted` (N,): whether an input of another class was found in the ball, or the clean image is one; None if the
      certificate looks for none

    `draws` draws defend. `threat` is the threat model. `certificate`, `dataset` and `posterior` are labels of the
    benchmarks file; without a file, `certificate` is the name of the certificate's class and the others are empty.
    """

    index: Array
    label: Array
    clean_log_probs: Array
    clean_entropy: Array
    certified: Array
    bound: Array | None
    refuted: Array | None
    draws: int
    threat: Threat | None = None
    certificate: str = ""
    dataset: str = ""
    posterior: str = ""

    kind: ClassVar[str] = "certificate"
    word: ClassVar[str] = "certified"

    @property
    def holds(self) -> NDArray[np.bool_]:
        """Where robustness is proven: `certified`."""
        return self.certified

    @property
    def counterexample(self) -> NDArray[np.bool_] | None:
        """Where an input of another class was found: `refuted`."""
        return self.refuted

    @property
    def findings(self) -> Findings:
        """What limits the certification as evidence: plain texts, each with a severity."""
        return findings.of_constant(self.constant)

    def columns(self) -> dict[str, Any]:
        """The arrays (N,) of a data frame by column, without what the certification is about."""
        return {
            "index": self.index,
            "label": self.label,
            "clean_prediction": self.clean_log_probs.argmax(-1),
            "clean_correct": self.clean_correct,
            "certified": self.certified,
            "bound": self.bound,
            "refuted": self.refuted,
            "clean_log_prob": self.clean_log_probs[range(len(self)), self.label],
            "clean_entropy": self.clean_entropy,
        }

    @property
    def certified_accuracy(self) -> float:
        """The share of images that are certified, in [0, 1]."""
        return self.share

    @property
    def refuted_share(self) -> float | None:
        """The share of images that are refuted, in [0, 1]; None if the certificate looks for none."""
        return None if self.refuted is None else float(self.refuted.mean())

    @property
    def mean_bound(self) -> float | None:
        """The mean of the bounds, in [-1, 1]; None if the certificate computes none."""
        return None if self.bound is None else float(self.bound.mean())


class Certifications(Curve[Certification]):
    """What one certificate proves under several threats, in their order. A slice is a `Certifications` too."""

    of = Certification
