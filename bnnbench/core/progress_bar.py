"""A progress bar for functions that are called from programs, on terminals and in notebooks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from bnnbench.core.draws import Progress, no_progress
from bnnbench.errors import one_line
from bnnbench.plugins.described import described


@contextmanager
def shown_progress(progress: bool | Progress, name: str) -> Iterator[Progress]:
    """A callback that shows progress as a bar if `progress` is True, and nothing if it is False.

    A function is returned as it is. `name` stands before the bar, which disappears at the end. Raises `TypeError` for
    anything else, and for a function with other arguments.
    """
    if not isinstance(progress, bool):
        if not callable(progress):
            raise TypeError(f"progress is True, False or a function, not {described(progress)}")
        _check_signature(progress)
        yield progress
        return
    if not progress:
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        row = bars.add_task(one_line(name, 40), total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bars.update(row, completed=done, total=total or None, note=one_line(note, 40))

        yield show


def _check_signature(progress: Progress) -> None:
    """Raise `TypeError` if a function cannot be called with what is done, of how much, and a note."""
    try:
        signature = inspect.signature(progress)
    except (TypeError, ValueError):
        return  # Some functions of C have none that can be read.
    try:
        signature.bind(0, 1, "note")
    except TypeError as error:
        raise TypeError(f"progress is called as progress(done, total, note): {error}") from None
