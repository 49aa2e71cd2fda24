"""The outcome of an attack: arrays with an entry for each image, and the figures computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.goal import Goal, Untargeted
from bnnbench.core.threat import Threat
from bnnbench.measurements import findings
from bnnbench.measurements.findings import Findings
from bnnbench.measurements.per_image import Curve, PerImage
from bnnbench.measurements.schema import ANY, CLASS, IMAGE, STEP, Quantity, Schema
from bnnbench.measurements.uncertainty import Uncertainty
from bnnbench.statistics import metrics

Array = NDArray[Any]

OUTCOME = Schema(
    (
        Quantity("index", (IMAGE,), "int", "", "position in the test set"),
        Quantity("clean_log_probs", (IMAGE, CLASS), "float", "nats", "clean prediction", log_probability=True),
        Quantity("attacked_log_probs", (IMAGE, CLASS), "float", "nats", "attacked prediction", log_probability=True),
        Quantity("label", (IMAGE,), "int", "class", "label", label=True),
        Quantity("clean_entropy", (IMAGE,), "float", "nats", "mean entropy of the draws at the clean input"),
        Quantity("attacked_entropy", (IMAGE,), "float", "nats", "mean entropy of the draws at the attacked input"),
        Quantity("distance", (IMAGE,), "float", "input", "distance of the attacked input in the threat's norm"),
        Quantity("passes", (IMAGE,), "float", "queries", "queries of the whole ensemble"),
        Quantity("gradient_passes", (IMAGE,), "float", "queries", "queries with gradient", optional=True),
        Quantity("objective", (IMAGE,), "float", "", "the attack's objective at the attacked input; NaN without one"),
        Quantity("zero_gradient", (IMAGE,), "bool", "", "plain gradient at the clean input is zero", optional=True),
        Quantity("zero_direction", (IMAGE,), "bool", "", "a followed direction was exactly zero", optional=True),
        Quantity("inputs", (IMAGE, ANY), "float", "input", "attacked inputs that are kept", partial=True),
        Quantity("step.*", (STEP, IMAGE), "float", "", "what the attack recorded at each step"),
        Quantity("draws", (), "int", "draws", "draws that defend"),
        Quantity("attack_draws", (), "int", "draws", "draws that the attacker sees"),
        Quantity("stops_early", (), "bool", "", "whether the attack stops at an image once the goal is reached"),
        Quantity("like_probabilities", (), "bool", "", "whether the logits look like probabilities", optional=True),
    )
)
"""The arrays and numbers of an outcome."""


@dataclass(frozen=True, repr=False, eq=False)
class Outcome(Uncertainty, PerImage):
    """The outcome of an attack on N images of K classes under one threat.

    Arrays:

    - `index` (N,): positions in the test set
    - `label` (N,): labels
    - `clean_log_probs`, `attacked_log_probs` (N, K): log-probabilities of the predictive
    - `clean_entropy`, `attacked_entropy` (N,): mean over draws of each draw's entropy, in nats
    - `distance` (N,): distance of the attacked from the clean image, in the threat's norm
    - `passes` (N,): queries of the whole ensemble
    - `gradient_passes` (N,): queries with gradient; None for outcomes of earlier versions
    - `objective` (N,): value of the attack's objective at the attacked image; NaN if the attack has none
    - `zero_gradient` (N,): whether autograd of log p[y] of the predictive at the clean image is exactly zero; None if
      the predictive gives no gradient
    - `zero_direction` (N,): whether a direction that the attack followed was exactly zero; None if it followed none
    - `inputs` (M, *shape): attacked images that are kept, M <= N
    - `steps`, a mapping from names to arrays (steps, N): values that the attack recorded; NaN if it did not query the
      image at a step

    Numbers and labels: `draws` draws defend, and the attacker sees `attack_draws`. If `stops_early`, the attack stops
    at an image once its goal is reached. `like_probabilities` says whether the logits look like probabilities; it is
    None for outcomes of earlier versions. `threat` is the threat model. `attack`, `dataset` and `posterior` are labels
    of the benchmarks file; without a file, `attack` is the name of the attack's class and the others are empty.
    """

    index: Array
    label: Array
    clean_log_probs: Array
    attacked_log_probs: Array
    clean_entropy: Array
    attacked_entropy: Array
    distance: Array
    passes: Array
    objective: Array
    zero_gradient: Array | None
    zero_direction: Array | None
    inputs: Array
    draws: int
    attack_draws: int
    stops_early: bool = False
    steps: dict[str, Array] = field(default_factory=dict)
    gradient_passes: Array | None = None
    like_probabilities: bool | None = None
    threat: Threat | None = None
    attack: str = ""
    dataset: str = ""
    posterior: str = ""

    kind: ClassVar[str] = "attack"
    word: ClassVar[str] = "robust"

    def columns(self) -> dict[str, Any]:
        """The arrays (N,) of a data frame by column, without what the outcome is about."""
        images, label = range(len(self)), self.label
        return {
            "index": self.index,
            "label": label,
            "clean_prediction": self.clean_log_probs.argmax(-1),
            "attacked_prediction": self.attacked_log_probs.argmax(-1),
            "clean_correct": self.clean_correct,
            "attacked_correct": self.attacked_correct,
            "robust": self.robust,
            "distance": self.distance,
            "clean_log_prob": self.clean_log_probs[images, label],
            "attacked_log_prob": self.attacked_log_probs[images, label],
            "clean_entropy": self.clean_entropy,
            "attacked_entropy": self.attacked_entropy,
            "objective": self.objective,
            "passes": self.passes,
            "gradient_passes": self.gradient_passes,
            "zero_gradient": self.zero_gradient,
            "zero_direction": self.zero_direction,
        }

    @property
    def findings(self) -> Findings:
        """What limits or refutes the outcome as evidence: plain texts, each with a severity."""
        return findings.about(self)

    @property
    def goal(self) -> Goal:
        """The goal of the attacker, which decides which images count as robust."""
        return self.threat.aim if self.threat else Untargeted()

    @property
    def holds(self) -> NDArray[np.bool_]:
        """Where the attacker failed: `robust`."""
        return self.robust

    @property
    def counterexample(self) -> NDArray[np.bool_]:
        """Whether each attacked image is misclassified, (N,), whatever the goal."""
        return ~self.attacked_correct

    @property
    def unchanged(self) -> bool:
        """Whether the attack left every image as it was that is robust as it is, though the ball has other points.

        Its queries may not have sufficed for one step.
        """
        unbroken = self.robust_as_is
        moves = self.threat is None or self.threat.epsilon > 0
        return bool(moves and unbroken.any() and (self.distance[unbroken] == 0).all())

    @property
    def attacked_correct(self) -> NDArray[np.bool_]:
        """Whether each attacked image is classified correctly, (N,)."""
        return metrics.correct(self.attacked_log_probs, self.label)

    @property
    def robust(self) -> NDArray[np.bool_]:
        """Whether the attacker failed at each image, (N,).

        For an untargeted attack: whether both the clean and the attacked image are classified correctly.
        """
        return self._robust(_Predicted(self.attacked_log_probs, self.attacked_entropy))

    @property
    def robust_as_is(self) -> NDArray[np.bool_]:
        """Whether each image is robust against an attacker that changes nothing, (N,): whether it is to be broken."""
        return self._robust(_Predicted(self.clean_log_probs, self.clean_entropy))

    def _robust(self, attacked: _Predicted) -> NDArray[np.bool_]:
        """Whether each image is robust if this is predicted at the attacked image, (N,)."""
        clean = _Predicted(self.clean_log_probs, self.clean_entropy)
        robust: NDArray[np.bool_] = self.goal.robust(clean, attacked, self.label)
        return robust

    @property
    def broken(self) -> NDArray[np.bool_]:
        """Whether each attacked image reaches the attacker's goal, (N,)."""
        aims = self.goal.aims(self.label, self.attacked_log_probs.shape[-1])
        reached: NDArray[np.bool_] = self.goal.reached(self.attacked_log_probs, aims, self.attacked_entropy)
        return reached

    @property
    def robust_accuracy(self) -> float:
        """The share of images at which the attacker failed, in [0, 1]."""
        return float(self.robust.mean())

    @property
    def attacked_accuracy(self) -> float:
        """The share of attacked images that are classified correctly, in [0, 1], as Carbone et al. (2020) report it."""
        return float(self.attacked_correct.mean())

    @property
    def softmax_robustness(self) -> float | None:
        """The mean of 1 - max_k |p_k(x) - p_k(x_adv)|, in [0, 1] (Carbone et al. 2020, Section 5.3).

        None for an attack that stops early, because it does not look for the largest change of an image.
        """
        if self.stops_early:
            return None
        return float(metrics.softmax_robustness(self.clean_log_probs, self.attacked_log_probs).mean())

    @property
    def zero_gradient_share(self) -> float | None:
        """The share of images with `zero_gradient`; None if the predictive gives no gradient."""
        return None if self.zero_gradient is None else float(self.zero_gradient.mean())

    @property
    def zero_direction_share(self) -> float | None:
        """The share of images with `zero_direction`; None if the attack followed no direction."""
        return None if self.zero_direction is None else float(self.zero_direction.mean())

    @property
    def mean_passes(self) -> float:
        """The mean number of queries of the whole ensemble for an image."""
        return float(self.passes.mean())

    @property
    def mean_gradient_passes(self) -> float | None:
        """The mean number of queries with gradient for an image; None for outcomes of earlier versions."""
        return None if self.gradient_passes is None else float(self.gradient_passes.mean())


class _Predicted(NamedTuple):
    """Log predictive probabilities (N, K), and the mean entropy (N,) of the draws."""

    log_probs: Array
    entropy: Array


class Outcomes(Curve[Outcome]):
    """The outcomes of one attack under several threats, in their order. A slice of them is an `Outcomes` too."""

    of = Outcome
