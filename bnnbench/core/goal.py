"""The goals of attackers: when an input counts as a success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Goal(Protocol):
    """A test of an attack's success, on torch tensors or numpy arrays."""

    def reached(self, log_probs: Any, y: Any) -> Any:
        """Whether each image reaches the goal, (N,) bool, from log predictive probabilities (N, K) and labels (N,)."""

    def reached_by(self, classes: Any, y: Any) -> Any:
        """The same, from predicted classes (N,) and labels (N,)."""

    def robust(self, clean: Any, attacked: Any, y: Any) -> Any:
        """Whether each image withstood the attack, (N,) bool.

        Args:
            clean: log predictive probabilities (N, K) at the clean inputs.
            attacked: log predictive probabilities (N, K) at the perturbed inputs.
            y: labels (N,).
        """


@dataclass(frozen=True)
class Untargeted:
    """The goal that the prediction is any other class than the label.

    An image is robust only if it is also classified correctly at the clean input, which lies in the ball too.
    Otherwise a perturbation could make a clean error count as robust.
    """

    def reached(self, log_probs: Any, y: Any) -> Any:
        """Whether the most probable class is not the label, (N,) bool."""
        return self.reached_by(log_probs.argmax(-1), y)

    def reached_by(self, classes: Any, y: Any) -> Any:
        """Whether the predicted class is not the label, (N,) bool."""
        return classes != y

    def robust(self, clean: Any, attacked: Any, y: Any) -> Any:
        """Whether the most probable class is the label at the clean and the perturbed input, (N,) bool."""
        return ~self.reached(clean, y) & ~self.reached(attacked, y)


GOALS: dict[str, Goal] = {"untargeted": Untargeted()}
"""The goals by name."""
