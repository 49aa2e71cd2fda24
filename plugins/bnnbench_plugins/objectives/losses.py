"""Objectives that are losses: negative log-likelihoods and cross-entropies of the label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Objective

if TYPE_CHECKING:
    from torch import Tensor


class PredictiveNLL(Objective):
    """Negative log predictive probability of the label, -log mean_s p_s[y], in nats.

    This is the loss of the classifier that is evaluated. It is never larger than `expected-loss` (Jensen's inequality).
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        import math

        return math.log(len(log_probs)) - log_probs[:, range(len(y)), y].logsumexp(0)

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor:
        return right + wrong


class ExpectedLoss(Objective):
    """Mean over draws of the cross-entropy, -mean_s log p_s[y], in nats: Eq. 2 of Carbone et al. (2020).

    Its gradient is the mean of the draws' gradients. Draws that are confident and wrong dominate it, so that it can be
    a far weaker objective than `predictive-nll` if the draws disagree.
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return -log_probs[:, range(len(y)), y].mean(0)

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor:
        return wrong


class MeanLogit(Objective):
    """Cross-entropy of the softmax of the mean logits, in nats.

    It is never larger than `expected-loss` (Jensen's inequality).
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        # Log-probabilities are logits up to a constant for each draw, which the softmax cancels.
        return -log_probs.mean(0).log_softmax(-1)[range(len(y)), y]

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _log_odds_against(log_probs.mean(0), y)


def _log_odds_against(logits: Tensor, y: Tensor) -> Tensor:
    """log(1 - p[y]) - log p[y], (N,), from logits (N, K), without forming probabilities."""
    import torch

    is_label = torch.nn.functional.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(is_label, -torch.inf).logsumexp(-1) - logits[range(len(y)), y]
