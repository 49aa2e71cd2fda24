"""How a task that did not end by itself is reported."""

from __future__ import annotations

import pickle

import pytest

from bnnbench import errors
from bnnbench.errors import BnnbenchError, ConfigError, DataError
from bnnbench.pool.failures import Raised, failure, raised


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


class Numbered(DataError):
    """An exception of a plugin with an `__init__` of its own: pickle would call it with the text alone."""

    def __init__(self, number: int, total: int) -> None:
        super().__init__(f"file {number} of {total} is absent")


class Mute(Exception):
    """An exception that has no text."""

    def __str__(self) -> str:
        raise RuntimeError("on purpose")


def with_a_function(error: BnnbenchError) -> BnnbenchError:
    """The exception with an attribute that cannot be pickled."""
    error.undo = lambda: None  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Numbered(2, 3), "file 2 of 3 is absent"),
        (ConfigError(["one", "two"]), "one two"),
        (with_a_function(DataError("no such file")), "no such file"),
        (DataError(Mute), "<class"),
        (Mute(), "Mute: its text cannot be made"),
        (type("OfAFunction", (DataError,), {})("on purpose"), "on purpose"),
    ],
)
def test_what_was_raised_can_be_unpickled_whatever_its_class(error: Exception, reason: str) -> None:
    found = pickle.loads(pickle.dumps(raised(error)))
    assert type(found) is Raised
    assert failure(found, 1.0, 1).reason.startswith(reason)
    assert type(error).__name__ in failure(found, 1.0, 1).trace


@pytest.mark.parametrize("name", ["StoreUnwritable", "DamagedArtefact", "DataError", "ContractBreach"])
def test_an_error_that_the_run_distinguishes_keeps_its_class(name: str) -> None:
    error = getattr(errors, name)("no such file")
    assert raised(error) is error
    assert type(pickle.loads(pickle.dumps(error))) is type(error)
