"""Which part of a data set is used."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bnnbench import DataError

TRAIN: Final = 1
TEST: Final = 2
"""Purposes of random streams: one must not be the other's."""


def generator(seed: int, purpose: int) -> np.random.Generator:
    """Randomness for one purpose, touching no global state."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,)))


def training_sample(x: Any, y: Any, size: int | None, seed: int) -> tuple[Any, Any]:
    """`size` of the training points, chosen by the seed; all, in their own order, if it is None.

    Raises `DataError` if there are fewer.
    """
    if size is None:
        return x, y
    _check_size("train_size", size, len(y))
    chosen = generator(seed, TRAIN).permutation(len(y))[:size]
    return x[chosen], y[chosen]


def test_sample(x: Any, y: Any, size: int | None) -> tuple[Any, Any]:
    """`size` of the test points, the same for every seed; all, in their own order, if it is None."""
    if size is None:
        return x, y
    _check_size("test_size", size, len(y))
    chosen = generator(0, TEST).permutation(len(y))[:size]
    return x[chosen], y[chosen]


def _check_size(name: str, size: int, available: int) -> None:
    if size > available:
        raise DataError(f"{name} is {size}, but there are {available} points")
