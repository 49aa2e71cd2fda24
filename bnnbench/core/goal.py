"""The goals of attackers: when an input counts as a success, and what an attack follows to get there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from bnnbench.errors import Incompatible

GoalName = Literal["untargeted", "targeted", "raise-uncertainty", "lower-uncertainty"]
"""The names of the goals."""
Score = Literal["entropy", "mutual-information"]
"""The uncertainty scores that an attacker may raise or lower."""


class Goal(Protocol):
    """A test of an attack's success, on torch tensors or numpy arrays.

    Attacks get `aims` instead of labels, and the values and directions of an objective (`followed`) times `sign`. So an
    attack that only asks the victim for these, and the threat whether the goal is reached, serves every goal.
    """

    @property
    def sign(self) -> float:
        """1.0 or -1.0: the sign of the objective that attacks maximise."""

    @property
    def withstood(self) -> str:
        """The images that `robust` counts, in words."""

    def check_draws(self, number: int) -> None:
        """Raise `Incompatible` if a prediction of so many draws tells nothing about the goal."""

    def aims(self, y: Any, classes: int) -> Any:
        """The classes (N,) that attacks get as `y`, from labels (N,) and the number of classes."""

    def reached(self, log_probs: Any, aims: Any, entropy: Any = None) -> Any:
        """Whether each image reaches the goal, (N,) bool.

        Args:
            log_probs: log predictive probabilities (N, K).
            aims: the classes (N,) that `aims` returns.
            entropy: the mean entropy (N,) of the draws; None if it is not known. A goal that needs it is then not
                reached.
        """

    def reached_by(self, classes: Any, aims: Any) -> Any:
        """The same, from predicted classes (N,) and aims (N,). Goals about scores raise `ScoresRefused`."""

    def robust(self, clean: Predicted, attacked: Predicted, y: Any) -> Any:
        """Whether each image withstood the attack, (N,) bool, from predictions and labels (N,)."""


class Predicted(Protocol):
    """A prediction of an ensemble at N inputs."""

    @property
    def log_probs(self) -> Any:
        """Log predictive probabilities (N, K)."""

    @property
    def entropy(self) -> Any:
        """The mean entropy (N,) of the draws, in nats."""


@dataclass(frozen=True)
class Untargeted:
    """The goal that the prediction is any other class than the label.

    An image is robust only if it is also classified correctly at the clean input, which lies in the ball too.
    Otherwise a perturbation could make a clean error count as robust.
    """

    sign: float = 1.0
    withstood: ClassVar[str] = "images right as they are and when attacked"

    def check_draws(self, number: int) -> None:
        """Any number will do."""

    def aims(self, y: Any, classes: int) -> Any:
        """The labels (N,)."""
        return y

    def reached(self, log_probs: Any, aims: Any, entropy: Any = None) -> Any:
        """Whether the most probable class is not the label, (N,) bool."""
        return self.reached_by(log_probs.argmax(-1), aims)

    def reached_by(self, classes: Any, aims: Any) -> Any:
        """Whether the predicted class is not the label, (N,) bool."""
        return classes != aims

    def robust(self, clean: Predicted, attacked: Predicted, y: Any) -> Any:
        """Whether the most probable class is the label at the clean and the perturbed input, (N,) bool."""
        return ~self.reached(clean.log_probs, y) & ~self.reached(attacked.log_probs, y)


@dataclass(frozen=True)
class Targeted:
    """The goal that the prediction is one class, the target.

    Attacks minimise their objective for the target as if it were the label. `target` is the class for all images; the
    images of that class, and all images if it is None, have the class after their label, the first one after the last.
    An image is robust if it is classified correctly at the clean input, and not as the target at the perturbed one.
    """

    target: int | None = None
    sign: float = -1.0
    withstood: ClassVar[str] = "images right as they are, and not given the target when attacked"

    def check_draws(self, number: int) -> None:
        """Any number will do."""

    def aims(self, y: Any, classes: int) -> Any:
        """The targets (N,). Raises `Incompatible` if there is no class `target`."""
        following = (y + 1) % classes
        if self.target is None:
            return following
        if self.target >= classes:
            raise Incompatible(f"the threat's target is the class {self.target}, but there are {classes} classes")
        own = y == self.target
        return following * own + self.target * ~own

    def reached(self, log_probs: Any, aims: Any, entropy: Any = None) -> Any:
        """Whether the most probable class is the target, (N,) bool."""
        return self.reached_by(log_probs.argmax(-1), aims)

    def reached_by(self, classes: Any, aims: Any) -> Any:
        """Whether the predicted class is the target, (N,) bool."""
        return classes == aims

    def robust(self, clean: Predicted, attacked: Predicted, y: Any) -> Any:
        """Whether the clean input is classified correctly and the perturbed one not as the target, (N,) bool."""
        targets = self.aims(y, attacked.log_probs.shape[-1])
        return (clean.log_probs.argmax(-1) == y) & ~self.reached(attacked.log_probs, targets)
