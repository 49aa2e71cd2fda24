"""Attacks on several other classes of each image, one target after another or together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bnnbench import Objective, OddsTerm, objective

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 256
"""The number of runs that are made at the same time, about: larger batches are not faster, and need more memory."""


class TargetMargin(Objective):
    """Log predictive probability of the class that is given as `y` minus the largest one of the others, in nats.

    While an image is classified as its label, that is the margin of the target over the label: attacks that give
    targets in the place of labels can raise the margins of a different class for each image.
    """

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return -objective("bnnbench:log-margin").value(log_probs, y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[OddsTerm]:
        """The terms of `log-margin` with the other sign."""
        terms = objective("bnnbench:log-margin").odds_terms(log_probs, y) or ()
        return [term._replace(sign=-term.sign) for term in terms]


def likely_others(log_probs: Tensor, y: Tensor, count: int) -> Tensor:
    """The most probable classes (N, count) other than the labels y (N,), from log-probabilities (N, K).

    There are K - 1 of them at most.
    """
    import torch

    others = log_probs.scatter(-1, y[:, None], -torch.inf)
    # The sort is stable, so that equal classes come in one order on every device.
    return others.sort(dim=-1, descending=True, stable=True).indices[:, : min(count, log_probs.shape[-1] - 1)]


def batches(at: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Images at positions `at` (n,) with their targets (N, T), in batches: positions (r,) and targets (r,) of r runs.

    All runs of an image are in one batch, so that they can end together.
    """
    count = targets.shape[1]
    for some in at.split(max(1, ROWS // count)):
        yield some.repeat_interleave(count), targets[some].flatten()
