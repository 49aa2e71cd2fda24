"""How a task that did not end by itself is reported."""

from __future__ import annotations

import pickle

from bnnbench.errors import DataError
from bnnbench.pool.failures import failure, raised


def test_what_was_raised_is_told_once_and_with_its_traceback_wherever_it_goes() -> None:
    try:
        raise TypeError("of type ndarray")
    except TypeError as found:
        error = raised(raised(pickle.loads(pickle.dumps(raised(found)))))
    why = failure(error, 1.0, 1)
    assert why.reason == "TypeError: of type ndarray"
    assert "test_failures.py" in why.trace
    assert why.trace.endswith("TypeError: of type ndarray\n")


def test_an_error_of_bnnbench_speaks_for_itself() -> None:
    found = failure(raised(DataError("no such file")), 1.0, 1)
    assert (found.reason, found.trace) == ("no such file", "")
