"""The worst case over several attacks, for each image, and its accuracy over images and seeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from bnnbench.evidence.cell import Cell
from bnnbench.statistics.intervals import wilson


@dataclass(frozen=True)
class Accuracy:
    """An accuracy over n images: its mean over seeds, its 95% Wilson interval at n, and its value for each seed.

    All shares are in [0, 1].
    """

    mean: float
    low: float
    high: float
    images: int
    seeds: tuple[float, ...]


def accuracy_of(values: Sequence[float], images: int) -> Accuracy:
    """The accuracy that has these values, one for each seed."""
    # The interval is that of the number of distinct images: several seeds do not add images.
    mean = sum(values) / len(values)
    low, high = wilson(mean * images, images)
    return Accuracy(mean, low, high, images, tuple(values))


@dataclass(frozen=True)
class WorstCase:
    """The worst case over the attacks of a row of a table.

    `accuracy` is None if no attack has an outcome. `partial` says that some outcome is absent, so that the accuracy
    lacks an attack or its mean a seed.
    """

    accuracy: Accuracy | None
    partial: bool


def worst_of(cells: Sequence[Cell], attacks: int, seeds: Collection[int]) -> WorstCase:
    """The worst case of the cells of one posterior under one threat, given how many attacks and which seeds there are.

    `attacks` and `seeds` are those of the whole table: the worst case of a row that lacks one of them is partial.
    """
    robust: dict[int, list[np.ndarray]] = {}
    for cell in cells:
        if cell.robust is not None:
            robust.setdefault(cell.spec.seed, []).append(cell.robust)
    if not robust:
        return WorstCase(None, partial=True)
    partial = robust.keys() != set(seeds) or any(len(arrays) < attacks for arrays in robust.values())
    images = len(next(iter(robust.values()))[0])
    return WorstCase(accuracy_of([float(worst_case(arrays).mean()) for arrays in robust.values()], images), partial)


def worst_case(robust: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each image is robust under every attack, (N,) bool.

    `robust` has an array (N,) for each attack, which says at which images it failed. The attacks must have the same
    fit, threat and images.
    """
    return np.logical_and.reduce(list(robust))
