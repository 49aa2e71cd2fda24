"""Shares of images over seeds, with their intervals, and which of them are to be read with care."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bnnbench.authoring import wilson

CARE = "Open markers: no evidence, or an outcome is missing (see the table)."
"""What open markers mean, for captions."""


class Ends(NamedTuple):
    """Both ends of the bracket of one posterior under one threat at one seed.

    `robust` and `certified` (N,) say whether no attack broke each image, and whether a certificate proved it.
    """

    robust: Any
    certified: Any


def accuracy(cells: Sequence[Any], figure: str = "robust_accuracy") -> tuple[float, float, float] | None:
    """The mean over seeds of a figure of cells, and its Wilson interval at the number of images.

    None if one of them has no result, as tables show no number then.
    """
    if not cells or not all(cell.ok for cell in cells):
        return None
    values = [cell.figures[figure] for cell in cells]
    return with_interval(sum(values) / len(values), cells[0].figures["images"])


def with_interval(share: float, images: int) -> tuple[float, float, float]:
    """A share of images, and the ends of its Wilson interval."""
    return (share, *wilson(share * images, images))


def lacks_seed(group: Any, cells: Sequence[Any]) -> bool:
    """Whether cells of one attack have no result at some seed of the group."""
    return {cell.spec.seed for cell in cells if cell.ok} != set(group.seeds)


def needs_care(group: Any, cells: Sequence[Any]) -> bool:
    """Whether a number of cells of one attack is to be read with care: a seed is missing, or one is no evidence."""
    return lacks_seed(group, cells) or any(cell.refuted for cell in cells)


def by_attack(cells: Sequence[Any]) -> dict[str, list[Any]]:
    """The cells of each attack by its label."""
    found: dict[str, list[Any]] = {}
    for cell in cells:
        found.setdefault(cell.spec.label, []).append(cell)
    return found


def both_ends(line: Any) -> dict[int, Ends]:
    """Both ends by seed, at those that have results of attacks and of certificates: other seeds have no bracket."""
    found = {}
    for seed, cells in line.all_by_seed.items():
        robust = [cell.robust for cell in cells if cell.robust is not None]
        certified = [cell.certified for cell in cells if cell.certified is not None]
        if robust and certified:
            found[seed] = Ends(np.logical_and.reduce(robust), np.logical_or.reduce(certified))
    return found


def care_in(series: Sequence[Any]) -> str:
    """The sentence about open markers, if any of the series has one; otherwise an empty text."""
    return CARE if any(any(one.open) for one in series) else ""
