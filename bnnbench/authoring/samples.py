"""Choose the points of a data set: samples of a given size, and a split for data that come without one.

The functions take inputs `x` and labels `y` as arrays or tensors with N points along the first axis, and return pairs
`(x, y)` of the same types.
"""

from __future__ import annotations

from typing import Any

from bnnbench.core.seeds import TEST_SAMPLE, TEST_SPLIT, TRAINING_SAMPLE, numpy_generator
from bnnbench.errors import DataError


def training_sample(x: Any, y: Any, size: int | None, seed: int) -> tuple[Any, Any]:
    """`size` random training points, another sample for every seed; if `size` is None, all points in their order.

    Raises `DataError` if `size` is below 1 or there are fewer points.
    """
    if size is None:
        return x, y
    _check_size("train_size", size, len(y))
    chosen = numpy_generator(seed, TRAINING_SAMPLE).permutation(len(y))[:size]
    return x[chosen], y[chosen]


def test_sample(x: Any, y: Any, size: int | None) -> tuple[Any, Any]:
    """`size` random test points, the same for every seed; if `size` is None, all points in their order.

    Raises `DataError` if `size` is below 1 or there are fewer points.
    """
    if size is None:
        return x, y
    _check_size("test_size", size, len(y))
    chosen = numpy_generator(0, TEST_SAMPLE).permutation(len(y))[:size]
    return x[chosen], y[chosen]


def split(x: Any, y: Any, test_share: float) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """The training points `(x, y)` and the test points `(x, y)` after one fixed shuffle, the same for every seed.

    The test points are the fraction `test_share`, in (0, 1), of all points, rounded to a whole number. Raises
    `DataError` if either part would be empty.
    """
    if not 0 < round(test_share * len(y)) < len(y):
        raise DataError(f"test_share is {test_share:g}: of {len(y)} points, one part would be empty")
    order = numpy_generator(0, TEST_SPLIT).permutation(len(y))
    test, train = order[: round(test_share * len(y))], order[round(test_share * len(y)) :]
    return (x[train], y[train]), (x[test], y[test])


# pytest would take the name for that of a test in every module that imports the function.
test_sample.__test__ = False  # type: ignore[attr-defined]


def _check_size(name: str, size: int, available: int) -> None:
    if size < 1:
        raise DataError(f"{name} is {size}, not 1 or more")
    if size > available:
        raise DataError(f"{name} is {size}, but there are {available} points")
