"""Objectives that are margins between the best other class and the label. Their gradients do not saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Incompatible, Objective, OddsTerm

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-12
"""The smallest difference that the difference of logits ratio divides by."""


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
        return _odds_of_margin(log_probs, y, _without_label(log_probs.logsumexp(0), y).argmax(-1))


class ClassMargin(Objective):
    """Log predictive probability of one class minus that of the label, in nats.

    It is zero where the class is the label. Raises `Incompatible` if the predictive does not have the class.
    """

    revision: ClassVar[int | None] = 1

    target: int = Field(default=0, ge=0)
    """The class, from 0."""

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        total = log_probs.logsumexp(0)
        return (total.gather(-1, self._classes(log_probs, y)[:, None]) - total.gather(-1, y[:, None]))[:, 0]

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[OddsTerm]:
        """The terms of `log-margin`, with the class in the place of the best other one."""
        return _odds_of_margin(log_probs, y, self._classes(log_probs, y))

    def _classes(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """The class, once for each image (N,)."""
        if self.target >= log_probs.shape[-1]:
            raise Incompatible(
                f"class-margin has the target {self.target}, but there are {log_probs.shape[-1]} classes"
            )
        return y.new_full(y.shape, self.target)


class TargetMargin(Objective):
    """`class-margin` with a class of each image's own, for attacks on several targets at the same time.

    In the place of the labels it gets numbers (N,) that hold a target and a label each (`targets_with_labels`).
    """

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        total, classes = log_probs.logsumexp(0), log_probs.shape[-1]
        target, label = (one[:, None] for one in (y // classes, y % classes))
        return (total.gather(-1, target) - total.gather(-1, label))[:, 0]

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[OddsTerm]:
        """The terms of `log-margin`, with the target in the place of the best other class."""
        classes = log_probs.shape[-1]
        return _odds_of_margin(log_probs, y % classes, y // classes)


def targets_with_labels(targets: Tensor, y: Tensor, classes: int) -> Tensor:
    """What `TargetMargin` gets for targets (N, T) of images with labels y (N,), of so many classes: (N, T) numbers."""
    return targets * classes + y[:, None]


class DifferenceOfLogitsRatio(Objective):
    """Difference of logits ratio (Croce and Hein 2020) of the log predictive probabilities.

    It is the margin of the best other class over the label, divided by the difference between the largest and the third
    largest log-probability: a number that no scaling of the logits changes. Raises `Incompatible` below three classes.
    """

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        total = log_probs.logsumexp(0)
        if total.shape[-1] < 3:
            raise Incompatible(f"dlr needs three classes or more, and there are {total.shape[-1]}")
        first, _, third = total.topk(3, -1).values.unbind(-1)
        return _margin(total, y) / (first - third).clamp(min=SMALLEST)


class MeanLogitMargin(Objective):
    """Largest mean logit of the other classes minus the mean logit of the label."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.mean(0), y)


def _odds_of_margin(log_probs: Tensor, y: Tensor, other: Tensor) -> list[OddsTerm]:
    """The terms of the margin of a class `other` (N,) over the label; see `LogMargin.odds_terms`."""
    total = log_probs.logsumexp(0)
    return [OddsTerm(k, sign, _log_weight(log_probs, total, k)) for k, sign in ((y, 1.0), (other, -1.0))]


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
