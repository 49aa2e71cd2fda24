"""The display of a run's progress on standard error: bars on a terminal or in a notebook, otherwise plain lines."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from bnnbench.errors import one_line
from bnnbench.matrix.plan import Plan
from bnnbench.plugins.described import counted
from bnnbench.pool.progress import Step
from bnnbench.running.durations import duration
from bnnbench.running.names import fit_name, part_name
from bnnbench.running.observer import Observer
from bnnbench.running.task import Task

if TYPE_CHECKING:
    from rich.progress import TaskID


SHORT = 30.0
"""Seconds of a run after which the time that is left is shown."""
RECENT = 5
"""The number of finished tasks that count as the last few."""


def observer() -> Observer:
    """The observer that displays a run: bars on a terminal or in a notebook, and otherwise plain lines."""
    return _Bars() if (sys.stderr is not None and sys.stderr.isatty()) or in_notebook() else _Lines()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console(stderr=True).is_jupyter


class _Lines:
    """Prints a line for each finished task, and one every `EVERY` seconds for the progress of a fit."""

    EVERY = 15.0

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self._done = self._tasks = 0
        self._clock = Clock()

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        self._names, self._tasks, self._done = task_names(plan), tasks, 0
        self._clock = Clock()
        _say(f"{_size(plan)}, {counted(tasks, 'task')} to run")

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        self._done += 1
        left = self._clock.left(self._tasks)
        _say(f"[{self._done}/{self._tasks}] {finished_line(task, status, seconds, reason)}{left and f', {left}'}")

    def apart(self, task: Task, parts: int, status: str, reason: str) -> None:
        self._tasks += parts - 1
        _say(split_line(task, parts, status, reason))

    def step(self, step: Step) -> None:
        now = time.monotonic()
        if now - self._last.setdefault(step.task, now) >= self.EVERY:
            self._last[step.task] = now
            name = self._names.get(step.task, step.task[:12])
            _say(one_line(f"{name}: {step.done}/{step.total} {step.note}"))

    def note(self, text: str) -> None:
        _say(one_line(text))

    def end(self, seconds: float) -> None:
        _say(_end_line(self._done, self._tasks, seconds))


class _Bars:
    """Shows a bar for the whole run and one for each running fit."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._names: dict[str, str] = {}
        self._rows: dict[str, TaskID] = {}
        self._clock = Clock()

    def begin(self, plan: Plan, tasks: int, cached: int) -> None:
        self._names = task_names(plan)
        self._bars.console.print(f"{_size(plan)}, {counted(tasks, 'task')} to run")
        self._tasks, self._done, self._clock = tasks, 0, Clock()
        self._all = self._bars.add_task("all", total=tasks, note="")
        self._bars.start()

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        row = self._rows.pop(task.key, None)
        if row is not None:
            self._bars.remove_task(row)
        self._done += 1
        self._bars.update(self._all, advance=1, note=self._clock.left(self._tasks))
        style = None if status in ("ok", "skipped") else "red"
        self._bars.console.print(finished_line(task, status, seconds, reason), style=style, markup=False)

    def apart(self, task: Task, parts: int, status: str, reason: str) -> None:
        self._tasks += parts - 1
        self._bars.update(self._all, total=self._tasks)
        self._bars.console.print(split_line(task, parts, status, reason), markup=False)

    def step(self, step: Step) -> None:
        if step.task not in self._names:
            return
        # A total of zero means that the total is not known yet.
        total = step.total or None
        if step.task not in self._rows:
            self._rows[step.task] = self._bars.add_task(self._names[step.task], total=total, note="")
        self._bars.update(self._rows[step.task], completed=step.done, total=total, note=one_line(step.note, 24))

    def note(self, text: str) -> None:
        self._bars.console.print(one_line(text), markup=False)

    def end(self, seconds: float) -> None:
        self._bars.stop()
        # A run may have a second part, which begins with new bars.
        for row in self._bars.task_ids:
            self._bars.remove_task(row)
        self._rows.clear()
        self._bars.console.print(_end_line(self._done, self._tasks, seconds))


class Clock:
    """The times at which the tasks of a run have ended, from which the time of the others is estimated."""

    def __init__(self) -> None:
        self._ended = [time.monotonic()]

    def left(self, tasks: int) -> str:
        """Note that a task has ended, and return about how long the rest of all `tasks` will take."""
        self._ended.append(time.monotonic())
        return time_left(self._ended, tasks)


def time_left(ended: list[float], tasks: int) -> str:
    """About how long the remaining tasks take, in words; empty near the start and the end of a run.

    `ended` holds the start of the run and the time at which each finished task ended, in seconds. The remaining tasks
    are taken to need as long as all finished ones or as the last few, whichever is longer: quick ones come first.
    """
    done = len(ended) - 1
    if not 0 < done < tasks or ended[-1] - ended[0] < SHORT:
        return ""
    few = min(done, RECENT)
    each = max((ended[-1] - ended[0]) / done, (ended[-1] - ended[-1 - few]) / few)
    left = each * (tasks - done)
    return "" if left < 60 else f"about {duration(left)} left"


def task_names(plan: Plan) -> dict[str, str]:
    """The names of fits and their parts by the key under which their progress is reported."""
    names = {}
    for key, fit in plan.fits.items():
        names[key] = name = fit_name(fit, plan)
        names |= {fit.part_key(part): part_name(name, fit, part) for part in range(fit.parts)}
    return names


def finished_line(task: Task, status: str, seconds: float, reason: str) -> str:
    """A line about a finished task: its name, status, time and reason, and if it failed the command that shows more."""
    line = f"{task.name}: {status} ({duration(seconds, 1)})" + (f": {one_line(reason)}" if reason else "")
    return line if status in ("ok", "skipped") else f"{line} (bnnbench show {task.shown[:8]})"


def split_line(task: Task, parts: int, status: str, reason: str) -> str:
    """A line about a failed task whose cells are tried one by one."""
    return f"{task.name}: {status}" + (f" ({reason})" if reason else "") + f"; trying its {parts} cells one by one"


def _size(plan: Plan) -> str:
    """The number of fits and cells of a plan."""
    return f"{counted(len(plan.fits), 'fit')}, {counted(len(plan.cells), 'cell')}"


def _end_line(done: int, tasks: int, seconds: float) -> str:
    """The line at the end of a run, with an empty one after it; only that if there were no tasks."""
    return f"{done} of {counted(tasks, 'task')} in {duration(seconds)}\n" if tasks else ""


def _say(text: str) -> None:
    # A program's standard error may be closed, or have lost its reader; a run does not end for that.
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)
