"""How a task ends that does not end by itself."""

from __future__ import annotations

from dataclasses import dataclass

from bnnbench.errors import one_line


class WorkerDied(Exception):
    """A worker ended before its task; says how."""


class LimitMet(Exception):
    """A task took longer than it may."""


class MemoryExceeded(Exception):
    """A worker and its children used more memory than a task may."""


@dataclass(frozen=True)
class Failure:
    """What a task that did not end by itself comes to; `by_chance` if another try may well succeed."""

    status: str
    reason: str
    by_chance: bool = False


def failure(error: BaseException, seconds: float) -> Failure:
    """Why a task has no result; `seconds` was its limit."""
    if isinstance(error, LimitMet):
        return Failure("timeout", f"stopped after its limit of {seconds:g} s")
    if isinstance(error, MemoryExceeded):
        return Failure("failed", "its process used more memory than limits.memory")
    if isinstance(error, WorkerDied):
        return Failure("failed", f"its process died ({error})", by_chance=True)
    return Failure("failed", one_line(f"{type(error).__name__}: {error}"))
