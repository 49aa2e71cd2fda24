"""How a job fails: the exceptions of pools, and the failure that each comes to."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from bnnbench import errors
from bnnbench.errors import BnnbenchError, message_of, one_line


class Raised(Exception):
    """A job raised an exception: `what` names it, and `trace` is its traceback.

    It stands for the exception where that cannot be unpickled: its class may be one of a plugin.
    """

    def __init__(self, what: str, trace: str) -> None:
        super().__init__(what, trace)
        self.what, self.trace = what, trace

    def __str__(self) -> str:
        return self.what


class WorkerDied(Exception):
    """A worker ended before its job did; the text says how."""


class NeverBegan(Exception):
    """A worker ended before it began the job that it was given."""


class TimeExceeded(Exception):
    """A job took longer than its time limit."""


class MemoryExceeded(Exception):
    """A worker and its children used more memory than a job may, in the worker's first job."""


class MemoryInherited(Exception):
    """A worker and its children used more memory than a job may, but earlier jobs may have left some of it behind."""


@dataclass(frozen=True)
class Failure:
    """The failure of a job that wrote no record.

    `by_chance`: another try may well succeed. `innocent`: the job did not cause it, so this try is not counted.
    `trace`: the traceback of the exception that the job raised, if it raised one.
    """

    status: str
    reason: str
    by_chance: bool = False
    innocent: bool = False
    trace: str = ""


def raised(error: BaseException) -> Exception:
    """The exception of a job in a form that every process can unpickle: itself, or a `Raised` in its place."""
    if type(error) is Raised or (isinstance(error, BnnbenchError) and _can_travel(error)):
        return error
    return Raised(one_line(message_of(error)), "".join(traceback.format_exception(error)))


def _can_travel(error: BnnbenchError) -> bool:
    """Whether every process can unpickle an exception: its class is one of bnnbench, and it holds nothing but a text.

    The run's process may lack the class of a plugin, and a class with an `__init__` of its own may refuse its text.
    """
    is_own = getattr(errors, type(error).__name__, None) is type(error)
    return is_own and all(type(one) is str for one in error.args) and not vars(error).keys() - {"__notes__"}


def failure(error: BaseException, seconds: float, memory: int) -> Failure:
    """The failure that the exception of a job's future comes to; `seconds` and `memory` in bytes were its limits."""
    if isinstance(error, TimeExceeded):
        return Failure("timeout", f"stopped after its limit of {seconds:g} s")
    if isinstance(error, MemoryExceeded | MemoryInherited):
        innocent = isinstance(error, MemoryInherited)
        reason = f"its process used more than limits.memory, which is {memory / 2**20:g} MiB"
        return Failure("failed", reason, innocent, innocent)
    if isinstance(error, NeverBegan):
        return Failure("failed", "its process died before it began", by_chance=True, innocent=True)
    if isinstance(error, WorkerDied):
        return Failure("failed", f"its process died ({error})", by_chance=True)
    known = raised(error)
    if isinstance(known, Raised):
        return Failure("failed", known.what, trace=known.trace)
    return Failure("failed", message_of(known))
