"""What is told of a task that did not end by itself."""

from __future__ import annotations

from bnnbench.errors import DataError
from bnnbench.matrix.workers.failures import failure, told


def test_what_was_raised_is_told_once() -> None:
    error = told(told(TypeError("of type ndarray")))
    assert failure(error, 1.0, 1).reason == "TypeError: of type ndarray"
    assert failure(told(DataError("no such file")), 1.0, 1).reason == "no such file"
