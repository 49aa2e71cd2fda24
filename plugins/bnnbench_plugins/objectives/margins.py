"""Objectives that are margins between the best other class and the label. Their gradients do not saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Objective, OddsTerm

if TYPE_CHECKING:
    from torch import Tensor


class LogMargin(Objective):
    """Largest log predictive probability of the other classes minus that of the label, in nats.

    It is positive where the image is misclassified.
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.logsumexp(0), y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[OddsTerm]:
        """Two terms: the label with a positive sign, and the best other class with a negative sign.

        For the predictive probability p_k = mean_s p_sk of a class k, the gradient of log p_k is
        -sum_s w_sk grad o_sk, where o_sk = log(1 - p_sk) - log p_sk are the log odds of draw s against k, and
        w_sk = p_sk (1 - p_sk) / sum_t p_tk.
        """
        total = log_probs.logsumexp(0)
        other = _without_label(total, y).argmax(-1)
        return [OddsTerm(k, sign, _log_weight(log_probs, total, k)) for k, sign in ((y, 1.0), (other, -1.0))]


class MeanLogitMargin(Objective):
    """Largest mean logit of the other classes minus the mean logit of the label."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.mean(0), y)


def _margin(scores: Tensor, y: Tensor) -> Tensor:
    """The largest score of another class minus the label's score, (N,), from scores (N, K)."""
    return _without_label(scores, y).amax(-1) - scores.gather(-1, y[:, None])[:, 0]


def _without_label(scores: Tensor, y: Tensor) -> Tensor:
    """Scores (N, K) with minus infinity in the place of the label's score."""
    import torch

    return scores.scatter(-1, y[:, None], -torch.inf)


def _log_weight(log_probs: Tensor, total: Tensor, classes: Tensor) -> Tensor:
    """log p_sk + log(1 - p_sk) - log sum_t p_tk, (S, N), for one class k of each image.

    Args: log_probs (S, N, K), their logsumexp over draws `total` (N, K), and the classes k (N,).
    """
    import torch

    index = classes.expand(log_probs.shape[:-1])[..., None]
    log_p = log_probs.gather(-1, index)[..., 0]
    log_not_p = log_probs.scatter(-1, index, -torch.inf).logsumexp(-1)
    return log_p + log_not_p - total.gather(-1, classes[:, None])[:, 0]
