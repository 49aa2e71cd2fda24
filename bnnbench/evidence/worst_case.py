"""The worst case over several attacks and what several certificates prove, for each image, and their accuracies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
class Combined:
    """The worst case over the attacks of a row of a table, or what its certificates prove together.

    `accuracy` is None if there is no outcome. `partial` says that some outcome is absent, so that the accuracy lacks an
    attack or certificate, or its mean a seed.
    """

    accuracy: Accuracy | None
    partial: bool


def worst_of(cells: Sequence[Cell], attacks: int, seeds: Collection[int]) -> Combined:
    """The worst case of the cells of one posterior under one threat, given how many attacks and which seeds there are.

    `attacks` and `seeds` are those of the whole table: the worst case of a row that lacks one of them is partial.
    """
    return _combined([(cell.spec.seed, cell.robust) for cell in cells], worst_case, attacks, seeds)


def certified_of(cells: Sequence[Cell], certificates: int, seeds: Collection[int]) -> Combined:
    """What the certificates of one posterior under one threat prove together; arguments are as in `worst_of`."""
    return _combined([(cell.spec.seed, cell.certified) for cell in cells], certified_case, certificates, seeds)


def worst_case(robust: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each image is robust under every attack, (N,) bool.

    `robust` has an array (N,) for each attack, which says at which images it failed. The attacks must have the same
    fit, threat and images.
    """
    return np.logical_and.reduce(list(robust))


def certified_case(certified: Sequence[np.ndarray]) -> np.ndarray:
    """Whether some certificate proves that each image is robust, (N,) bool.

    `certified` has an array (N,) for each certificate. They must have the same fit, threat and images.
    """
    return np.logical_or.reduce(list(certified))


def _combined(
    found: Sequence[tuple[int, np.ndarray | None]],
    case: Callable[[Sequence[np.ndarray]], np.ndarray],
    expected: int,
    seeds: Collection[int],
) -> Combined:
    """The accuracy of `case` of the arrays (N,) of each seed; it is partial with fewer than `expected` at a seed."""
    by_seed: dict[int, list[np.ndarray]] = {}
    for seed, array in found:
        if array is not None:
            by_seed.setdefault(seed, []).append(array)
    if not by_seed:
        return Combined(None, partial=True)
    partial = by_seed.keys() != set(seeds) or any(len(arrays) < expected for arrays in by_seed.values())
    images = len(next(iter(by_seed.values()))[0])
    return Combined(accuracy_of([float(case(arrays).mean()) for arrays in by_seed.values()], images), partial)
