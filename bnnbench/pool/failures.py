"""How a job fails: the exceptions of pools, and the failure that each comes to."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from bnnbench.errors import BnnbenchError, one_line


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
    if isinstance(error, BnnbenchError | Raised):
        return error
    return Raised(one_line(f"{type(error).__name__}: {error}"), "".join(traceback.format_exception(error)))


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
    return Failure("failed", str(known), trace=known.trace if isinstance(known, Raised) else "")
