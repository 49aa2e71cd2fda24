"""Objectives that are losses of the label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Objective

if TYPE_CHECKING:
    from torch import Tensor


class PredictiveNLL(Objective):
    """Negative log predictive probability of the label, -log mean_s p_s[y].

    The loss of the classifier that is evaluated, and never above `expected-loss` (Jensen).
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        import math

        return math.log(len(log_probs)) - log_probs[:, range(len(y)), y].logsumexp(0)

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor:
        return right + wrong


class ExpectedLoss(Objective):
    """Mean over draws of the cross-entropy, -mean_s log p_s[y]: Eq. 2 of Carbone et al. (2020).

    Its gradient is the mean of the draws' gradients. A draw that is sure and wrong dominates it, so on a spread-out
    posterior it can be far weaker than `predictive-nll`.
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return -log_probs[:, range(len(y)), y].mean(0)

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor:
        return wrong


class MeanLogit(Objective):
    """Cross-entropy of the softmax of the mean logits; never above `expected-loss` (Jensen)."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        # Log-probabilities are logits up to a constant for each draw, which the softmax drops.
        return -log_probs.mean(0).log_softmax(-1)[range(len(y)), y]

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _log_odds_against(log_probs.mean(0), y)


def _log_odds_against(logits: Tensor, y: Tensor) -> Tensor:
    import torch

    right = torch.nn.functional.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(right, -torch.inf).logsumexp(-1) - logits[range(len(y)), y]
