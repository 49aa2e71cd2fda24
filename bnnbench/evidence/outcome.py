"""The outcome of one attack: what every image did, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.evidence import metrics
from bnnbench.evidence.intervals import wilson

Array = NDArray[Any]


@dataclass(frozen=True, repr=False)
class Outcome:
    """What an attack on N images left.

    Arrays: `index` (N,) positions in the test set; `label` (N,); `clean_log_probs` and `attacked_log_probs` (N, K) of
    the predictive; `clean_entropy` and `attacked_entropy` (N,), means over draws of each draw's entropy in nats;
    `distance` (N,) in the threat's norm; `passes` (N,) looks at the whole ensemble; `objective` (N,), the attack's own,
    NaN if it has none; `zero_gradient` (N,), where float32 autograd of the negative log predictive probability at the
    clean image is exactly zero; `zero_direction` (N,), where a direction the attack followed was exactly zero,
    None if it followed none; `steps`, name -> (steps, N), what the attack recorded; `inputs`, the images kept.
    `draws` defend, and `attack_draws` are seen by the attacker; `stops_early` if it left images alone once they were
    misclassified.
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
    zero_gradient: Array
    zero_direction: Array | None
    inputs: Array
    draws: int
    attack_draws: int
    stops_early: bool = False
    steps: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Outcome({len(self)} images, {self.draws} draws: clean {self.clean_accuracy:.3f}, "
            f"robust {self.robust_accuracy:.3f} [{low:.3f}, {high:.3f}])"
        )

    @property
    def clean_correct(self) -> NDArray[np.bool_]:
        """Where the clean image is classified rightly, (N,)."""
        return metrics.correct(self.clean_log_probs, self.label)

    @property
    def constant(self) -> bool:
        """Whether all clean images, of several classes, are given one and the same class."""
        return len(set(self.label.tolist())) > 1 and len(set(self.clean_log_probs.argmax(-1).tolist())) == 1

    @property
    def attacked_correct(self) -> NDArray[np.bool_]:
        """Where the attacked image is classified rightly, (N,)."""
        return metrics.correct(self.attacked_log_probs, self.label)

    @property
    def robust(self) -> NDArray[np.bool_]:
        """Where both are, (N,): x lies in its own ball, so noise must not repair a clean error."""
        return self.clean_correct & self.attacked_correct

    @property
    def clean_accuracy(self) -> float:
        """Share of clean images classified rightly."""
        return float(self.clean_correct.mean())

    @property
    def robust_accuracy(self) -> float:
        """Share of images classified rightly both clean and attacked."""
        return float(self.robust.mean())

    @property
    def attacked_accuracy(self) -> float:
        """Share of attacked images classified rightly, the paper's figure."""
        return float(self.attacked_correct.mean())

    @property
    def clean_interval(self) -> tuple[float, float]:
        """95% Wilson interval of the clean accuracy."""
        return wilson(int(self.clean_correct.sum()), len(self))

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval of the robust accuracy."""
        return wilson(int(self.robust.sum()), len(self))

    @property
    def softmax_robustness(self) -> float | None:
        """Mean of 1 - max_k |p_k(x) - p_k(x_adv)| (the paper's Section 5.3); None if the attack stopped early."""
        if self.stops_early:
            return None
        return float(metrics.softmax_robustness(self.clean_log_probs, self.attacked_log_probs).mean())

    @property
    def zero_gradient_share(self) -> float:
        """Share of images whose plain gradient is exactly zero."""
        return float(self.zero_gradient.mean())

    @property
    def zero_direction_share(self) -> float | None:
        """Share of images for which a direction that the attack followed was exactly zero; None if it followed none."""
        return None if self.zero_direction is None else float(self.zero_direction.mean())
