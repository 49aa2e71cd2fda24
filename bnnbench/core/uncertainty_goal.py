"""Goals about uncertainty: raise or lower the entropy or the mutual information of a prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bnnbench.core.goal import Predicted, Score
from bnnbench.errors import Incompatible, ScoresRefused

SHARES: dict[Score, float] = {"entropy": 0.5, "mutual-information": 0.25}
"""The level of each score above which a prediction counts as uncertain by default, as a share of log K.

Log K is the largest value of both scores. The mutual information of an ensemble rarely comes near to it.
"""


@dataclass(frozen=True)
class UncertaintyGoal:
    """The goal that a prediction counts as uncertain, or as certain: that its score is above a level, or below.

    It is the goal of an attacker of a model that rejects inputs above the level (Galil and El-Yaniv 2021; Ledda et al.
    2023; Feng et al. 2024):

    - `raises`: the score is above the level, so that the input is rejected; with `keep_label`, while its class stays
      the label. An image is robust if it is classified correctly as it is, and accepted as it is and perturbed.
    - otherwise: the score is not above the level and the class is wrong, so that an error is accepted; with
      `keep_label`, while the class is the label. An image is robust if that holds neither as it is nor perturbed.

    Attacks follow the score (`followed`), whatever their objective is.

    Args:
        raises: whether the score is raised.
        score: `entropy`, of the predictive, or `mutual-information`, the entropy of the predictive less the mean
            entropy of the draws.
        keep_label: whether the class must be the label.
        level: the level in nats; by default half of log K for the entropy, a quarter for the mutual information.
    """

    raises: bool
    score: Score = "entropy"
    keep_label: bool = False
    level: float | None = None
    sign: float = 1.0

    @property
    def withstood(self) -> str:
        """The images that `robust` counts, in words."""
        if self.raises:
            attacked = "accepted or wrong" if self.keep_label else "accepted"
            return f"images right and accepted as they are, and {attacked} when attacked"
        accepted = "right" if self.keep_label else "wrong"
        return f"images that are not both {accepted} and accepted, neither as they are nor when attacked"

    def check_draws(self, number: int) -> None:
        """Raise `Incompatible` for the mutual information of one draw."""
        if self.score == "mutual-information" and number < 2:
            raise Incompatible(
                "the mutual information of one draw is always 0: this goal needs two draws or more that defend, and "
                "two that the attacker sees"
            )

    def aims(self, y: Any, classes: int) -> Any:
        """The labels (N,)."""
        return y

    def reached(self, log_probs: Any, aims: Any, entropy: Any = None) -> Any:
        """Whether score and class are as the goal has them, (N,) bool; False for a score that is not known."""
        right = log_probs.argmax(-1) == aims
        uncertainty = self._score(log_probs, entropy)
        if uncertainty is None:
            return right & ~right
        level = SHARES[self.score] * math.log(log_probs.shape[-1]) if self.level is None else self.level
        above = uncertainty > level
        if self.raises:
            return above & right if self.keep_label else above
        return ~above & (right if self.keep_label else ~right)

    def reached_by(self, classes: Any, aims: Any) -> Any:
        """Always raises `ScoresRefused`: predicted classes do not tell how certain a prediction is."""
        raise ScoresRefused("a goal about uncertainty needs scores, and predicted classes alone were asked for")

    def robust(self, clean: Predicted, attacked: Predicted, y: Any) -> Any:
        """Whether the goal is reached neither at the clean nor at the perturbed input, (N,) bool.

        If the goal is to raise the score, the clean input must also be classified correctly.
        """
        reached = self.reached(clean.log_probs, y, clean.entropy) | self.reached(
            attacked.log_probs, y, attacked.entropy
        )
        return ~reached & (clean.log_probs.argmax(-1) == y) if self.raises else ~reached

    def _score(self, log_probs: Any, entropy: Any) -> Any:
        """The score (N,) of predictions; None if it needs the mean entropy of the draws, and that is None."""
        of_predictive = -(_exp(log_probs) * log_probs).sum(-1)
        if self.score == "entropy":
            return of_predictive
        return None if entropy is None else of_predictive - entropy


def _exp(values: Any) -> Any:
    """The exponential of a tensor or array."""
    return values.exp() if hasattr(values, "exp") else math.e**values
