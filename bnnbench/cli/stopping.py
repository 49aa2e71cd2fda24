"""Ctrl-C and SIGTERM: they end a command at once, but the first one lets a run end its workers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

from bnnbench.pool.processes.streams import is_ready

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that stop a command."""


class Stopped(BaseException):
    """A signal has asked this process to stop. `code` is its exit code."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        super().__init__(signal.Signals(number).name)


def exit_on_signals() -> None:
    """End this process at once when a signal arrives, from now on.

    No exception is raised, because one in the middle of an import or of a library's callback would print a traceback or
    be lost.
    """
    for number in SIGNALS:
        signal.signal(number, _end)


def ignore_signals() -> None:
    """Ignore signals during interpreter shutdown, so that the exit code is final.

    Python removes handlers before the process ends, and a signal mask holds for one thread only.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """A context in which the first signal raises `Stopped`, and a second one ends the process; for the main thread."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, frame: Any) -> NoReturn:
        exit_on_signals()
        raise Stopped(number)

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: Any) -> NoReturn:
    # The guard of the workers ends them, and the next run ignores files that are half written.
    with contextlib.suppress(OSError):
        if not is_ready(2, 0.0):
            os._exit(128 + number)  # The reader of a full pipe would be waited for.
        show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # The bars hide the cursor.
        os.write(2, show_cursor + b"stopped\n")
    os._exit(128 + number)
