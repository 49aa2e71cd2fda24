"""Objectives that are margins between the label and the best other class: they do not saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Objective, OddsTerm

if TYPE_CHECKING:
    from torch import Tensor


class LogMargin(Objective):
    """Largest log predictive probability among the other classes less the label's; positive where misclassified."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.logsumexp(0), y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[OddsTerm]:
        """Of p_k, the mean over draws, the gradient of log p_k is -sum_s p_sk (1 - p_sk) / sum_s p_sk times that of the
        log odds against k: where one draw decides for the label and another for the other class, both are kept."""
        total = log_probs.logsumexp(0)
        other = _others(total, y).argmax(-1)
        return [OddsTerm(k, sign, _log_weight(log_probs, total, k)) for k, sign in ((y, 1.0), (other, -1.0))]


class MeanLogitMargin(Objective):
    """Largest mean logit among the other classes less the label's."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.mean(0), y)


def _margin(scores: Tensor, y: Tensor) -> Tensor:
    return _others(scores, y).amax(-1) - scores.gather(-1, y[:, None])[:, 0]


def _others(scores: Tensor, y: Tensor) -> Tensor:
    """Scores (N, K) with the label's out of the running."""
    import torch

    return scores.scatter(-1, y[:, None], -torch.inf)


def _log_weight(log_probs: Tensor, total: Tensor, classes: Tensor) -> Tensor:
    """log p_sk + log(1 - p_sk) - log sum_s p_sk, (S, N), of one class k for each image."""
    import torch

    at = classes.expand(log_probs.shape[:-1])[..., None]
    right = log_probs.gather(-1, at)[..., 0]
    wrong = log_probs.scatter(-1, at, -torch.inf).logsumexp(-1)
    return right + wrong - total.gather(-1, classes[:, None])[:, 0]
