"""What is told of a task that did not end by itself."""

from __future__ import annotations

import pickle

from bnnbench.errors import DataError
from bnnbench.matrix.workers.failures import failure, told


def test_what_was_raised_is_told_once_and_with_its_traceback_wherever_it_goes() -> None:
    try:
        raise TypeError("of type ndarray")
    except TypeError as raised:
        error = told(told(pickle.loads(pickle.dumps(told(raised)))))
    found = failure(error, 1.0, 1)
    assert found.reason == "TypeError: of type ndarray"
    assert "test_failures.py" in found.trace
    assert found.trace.endswith("TypeError: of type ndarray\n")


def test_an_error_of_bnnbench_speaks_for_itself() -> None:
    found = failure(told(DataError("no such file")), 1.0, 1)
    assert (found.reason, found.trace) == ("no such file", "")
