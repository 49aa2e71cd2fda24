"""How a task ends that does not end by itself."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from bnnbench.errors import BnnbenchError, one_line


class Raised(Exception):
    """A task raised something; says what and where. What a stranger's code raises may not be known where it is told."""

    def __init__(self, what: str, trace: str) -> None:
        super().__init__(what, trace)
        self.what, self.trace = what, trace

    def __str__(self) -> str:
        return self.what


class WorkerDied(Exception):
    """A worker ended before its task; says how."""


class NeverBegan(Exception):
    """A worker ended before it had begun the task that it was given."""


class LimitMet(Exception):
    """A task took longer than it may."""


class MemoryExceeded(Exception):
    """A worker and its children used more memory than a task may."""


class MemoryInherited(Exception):
    """They did, but some of it may be what earlier tasks had left in the worker."""


@dataclass(frozen=True)
class Failure:
    """What a task that did not end by itself comes to; `by_chance` if another try may well succeed, `innocent` if this
    one must not be counted."""

    status: str
    reason: str
    by_chance: bool = False
    innocent: bool = False
    trace: str = ""
    """The traceback of what it raised."""


def told(error: BaseException) -> Exception:
    """An exception of a task as one that any process knows."""
    if isinstance(error, BnnbenchError | Raised):
        return error
    return Raised(one_line(f"{type(error).__name__}: {error}"), "".join(traceback.format_exception(error)))


def failure(error: BaseException, seconds: float, memory: int) -> Failure:
    """Why a task has no result; so many seconds and bytes were its limits."""
    if isinstance(error, LimitMet):
        return Failure("timeout", f"stopped after its limit of {seconds:g} s")
    if isinstance(error, MemoryExceeded | MemoryInherited):
        innocent = isinstance(error, MemoryInherited)
        reason = f"its process used more than limits.memory, which is {memory / 2**20:g} MiB"
        return Failure("failed", reason, innocent, innocent)
    if isinstance(error, NeverBegan):
        return Failure("failed", "its process died before it began", by_chance=True, innocent=True)
    if isinstance(error, WorkerDied):
        return Failure("failed", f"its process died ({error})", by_chance=True)
    known = told(error)
    return Failure("failed", str(known), trace=known.trace if isinstance(known, Raised) else "")
