"""Observers: callbacks that show the progress of a run."""

from __future__ import annotations

from typing import Protocol

from bnnbench.matrix.plan import Plan
from bnnbench.pool.progress import Step
from bnnbench.running.task import Task


class Observer(Protocol):
    """Callbacks of a run, called from the run's own thread."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        """A plan is about to run as `tasks` tasks; `cached` of its cells are in the store already.

        A run of several parts calls this and `end` for each: one that finds damaged draws, or verifies cells.
        """

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        """A task has ended with a status; `reason` says why if the status is not `ok`."""

    def apart(self, task: Task, parts: int, status: str, reason: str) -> None:
        """A task has failed, and is replaced by `parts` tasks of one cell each."""

    def step(self, step: Step) -> None:
        """A running task has made progress."""

    def note(self, text: str) -> None:
        """Show a line of text about the run."""

    def end(self, seconds: float) -> None:
        """All tasks have ended, `seconds` after they began."""


class Silent:
    """An observer that does nothing."""

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        """Do nothing."""

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        """Do nothing."""

    def apart(self, task: Task, parts: int, status: str, reason: str) -> None:
        """Do nothing."""

    def step(self, step: Step) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def end(self, seconds: float) -> None:
        """Do nothing."""
