"""The objectives that attacks follow to each goal: their own, or one about the uncertainty of the predictive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from bnnbench.core.goal import Goal, Score
from bnnbench.core.objective import Objective
from bnnbench.core.uncertainty_goal import UncertaintyGoal

if TYPE_CHECKING:
    from torch import Tensor


def followed(goal: Goal, objective: Objective) -> Objective:
    """The objective that an attack with this objective maximises to reach a goal, up to the goal's sign.

    To goals about uncertainty it is the score, or its negative, whatever the attack's objective.
    """
    if not isinstance(goal, UncertaintyGoal):
        return objective
    wanted = "label" if goal.keep_label else "any" if goal.raises else "other"
    return UncertaintyObjective(raises=goal.raises, score=goal.score, wanted=wanted)


class UncertaintyObjective(Objective):
    """The uncertainty of the predictive, or its negative, where the class is allowed, and elsewhere a margin.

    The margin is that between the label and the other classes. Any value at an allowed class is above any at another.
    """

    revision: ClassVar[int | None] = 1

    raises: bool = True
    """Whether the score is to rise."""
    score: Score = "entropy"
    """The score."""
    wanted: str = "any"
    """The allowed class: `label`, `other` (any other than the label) or `any`."""

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        log_predictive = _predictive(log_probs)
        score = _entropy(log_predictive)
        if self.score == "mutual-information":
            score = score - _entropy(log_probs).mean(0)
        # Both scores lie between 0 and log K, so this is below all of them and their negatives.
        lowest = -1.0 - math.log(log_probs.shape[-1])
        return self._choice(score if self.raises else -score, lowest, log_predictive, y)

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """The logarithm of the entropy, whose gradient does not vanish where the network is certain."""
        if self.score != "entropy":
            return self.value(log_probs, y)
        log_predictive = _predictive(log_probs)
        score = _log_entropy(log_predictive)
        return self._choice(score if self.raises else -score, 0.0, log_predictive, y)

    def _choice(self, score: Tensor, lowest: float, log_predictive: Tensor, y: Tensor) -> Tensor:
        """The score (N,) where the class is allowed; elsewhere `lowest` less the margin to an allowed class."""
        import torch

        if self.wanted == "any":
            return score
        others = log_predictive.scatter(-1, y[:, None], -torch.inf).amax(-1)
        margin = log_predictive.gather(-1, y[:, None])[:, 0] - others
        margin = margin if self.wanted == "label" else -margin
        return torch.where(margin > 0, score, lowest + margin)


def _predictive(log_probs: Tensor) -> Tensor:
    """Log predictive probabilities (N, K), from log-probabilities (S, N, K) of each draw."""
    return log_probs.logsumexp(0) - math.log(len(log_probs))


def _entropy(log_probs: Tensor) -> Tensor:
    """The entropy (..., ) in nats, from log-probabilities (..., K)."""
    return -(log_probs.exp() * log_probs).sum(-1)


def _log_entropy(log_probs: Tensor) -> Tensor:
    """The logarithm of the entropy (...,), from log-probabilities (..., K), without forming probabilities.

    The terms are -p log p. Where p rounds to 1 its term is zero; those of the other classes are not.
    """
    import torch

    small = torch.finfo(log_probs.dtype).tiny
    return (log_probs + (-log_probs).clamp(min=small).log()).logsumexp(-1)
