"""Objectives that are margins between the label and the best other class: they do not saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bnnbench import Objective

if TYPE_CHECKING:
    from torch import Tensor


class LogMargin(Objective):
    """Largest log predictive probability among the other classes less the label's; positive where misclassified."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.logsumexp(0), y)


class MeanLogitMargin(Objective):
    """Largest mean logit among the other classes less the label's."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return _margin(log_probs.mean(0), y)


def _margin(scores: Tensor, y: Tensor) -> Tensor:
    import torch

    right = torch.nn.functional.one_hot(y, scores.shape[-1]).bool()
    return scores.masked_fill(right, -torch.inf).amax(-1) - scores[range(len(y)), y]
