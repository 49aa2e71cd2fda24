"""Attacks on several other classes of each image at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bnnbench_plugins.objectives.margins import targets_with_labels

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 2**24
"""Largest size in bytes of the points of runs that are made at the same time."""


def likely_others(log_probs: Tensor, y: Tensor, count: int) -> Tensor:
    """The most probable classes (N, count) other than the labels y (N,), from log-probabilities (N, K).

    There are K - 1 of them at most.
    """
    import torch

    others = log_probs.scatter(-1, y[:, None], -torch.inf)
    # The sort is stable, so that equal classes come in one order on every device.
    return others.sort(dim=-1, descending=True, stable=True).indices[:, : min(count, log_probs.shape[-1] - 1)]


def likely_targets(log_probs: Tensor, y: Tensor, count: int) -> Tensor:
    """What `TargetMargin` gets for the most probable other classes, (N, count); arguments as in `likely_others`."""
    return targets_with_labels(likely_others(log_probs, y, count), y, log_probs.shape[-1])


def batches(at: Tensor, aims: Tensor, x: Tensor, *, together: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """The runs on images at positions `at` (n,), in batches: the positions (r,) and the aims (r,) of r runs.

    All runs of an image are in one batch, so that they can end together.

    Args:
        at: the positions.
        aims: what the objective gets as labels in each run of each image, (N, runs).
        x: the images (N, *shape).
        together: whether all runs must be in one batch, as under the stream `fresh`, where a query draws anew.
    """
    runs = aims.shape[1]
    size = max(1, LARGEST // (runs * x[0].numel() * x.element_size()))
    for some in [at] if together else at.split(size):
        yield some.repeat_interleave(runs), aims[some].flatten()
