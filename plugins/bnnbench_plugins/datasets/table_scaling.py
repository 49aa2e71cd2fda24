"""Scale the inputs of a table into the box [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bnnbench import DataError
from bnnbench_plugins.datasets.table_content import Content

BLOCK = 2**24
"""Size in bytes, as float64, of the rows that are read together."""
SPAN = 2**26
"""Size in bytes of the part of a file in which these rows lie."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map (x - low) / width of inputs, clipped to [0, 1]. None: inputs stay as they are."""

    low: np.ndarray | None = None
    width: np.ndarray | None = None

    @classmethod
    def of(cls, content: Content, rows: np.ndarray, way: str) -> Scaling:
        """The scaling that maps rows of a content to [0, 1] exactly: by `columns`, of the `whole`, or `none`.

        All rows are read, but only some at a time. Raises `DataError` if one holds a missing or infinite value.
        """
        if way == "none":
            return cls()
        low = high = None
        for some in _blocks(content, rows):
            values = content.rows(rows[some])
            axes = 0 if way == "columns" else None
            lowest, highest = values.min(axes), values.max(axes)
            low = lowest if low is None else np.minimum(low, lowest)
            high = highest if high is None else np.maximum(high, highest)
        assert low is not None
        assert high is not None
        with np.errstate(over="ignore"):
            width = high - low
        if not np.isfinite(width).all():
            raise DataError(
                f"{content.where}: inputs lie in [{low.min():g}, {high.max():g}], too far apart to be scaled"
            )
        # A constant column is divided by infinity, so that it becomes 0.
        return cls(low, np.where(high > low, width, np.inf))

    def points(self, content: Content, rows: np.ndarray) -> np.ndarray:
        """The scaled inputs of rows, float32, in their order.

        Raises `DataError` if a value is missing or infinite, or outside [0, 1] where there is no scaling.
        """
        points = np.empty((len(rows), *content.inputs.shape[1:]), np.float32)
        for some in _blocks(content, rows):
            values = content.rows(rows[some])
            if self.low is not None:
                values = np.clip((values - self.low) / self.width, 0, 1)
            elif values.min() < 0 or values.max() > 1:
                raise DataError(
                    f"{content.where}: inputs lie in [{values.min():g}, {values.max():g}], outside [0, 1]: scale them "
                    "(scaling: columns or whole)"
                )
            points[some] = values
        return points


def _blocks(content: Content, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The positions in `rows`, in the order of the file, cut into parts whose values are read together."""
    numbers, size = math.prod(content.inputs.shape[1:]), content.inputs.itemsize
    order = np.argsort(rows, kind="stable")
    full = np.diff(np.arange(len(rows)) // max(1, BLOCK // (8 * numbers)))
    far = np.diff(rows[order] // max(1, SPAN // (size * numbers)))
    yield from np.split(order, np.flatnonzero(full | far) + 1)
