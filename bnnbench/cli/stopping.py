"""Ctrl-C and SIGTERM: at once where nothing is under way; a run ends in order at the first, at once at the second."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

ASKING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Somebody asked this process to stop; `code` is what it exits with."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        super().__init__(signal.Signals(number).name)


def end_when_asked() -> None:
    """From now on a signal ends this process at once, wherever it is: an exception in the middle of an import, or of a
    library's callback, would be a traceback, or be lost."""
    for number in ASKING:
        signal.signal(number, _end)


def listen_no_more() -> None:
    """All is done and said, and the exit code stands: while Python takes itself down no signal shall change it.

    What is ignored stays so until the end; a handler does not, and a mask is that of one thread.
    """
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """While this is entered, in the main thread, the first signal raises `Stopped`; a second one ends the process."""
    before = {number: signal.getsignal(number) for number in ASKING}

    def stop(number: int, frame: Any) -> NoReturn:
        end_when_asked()
        raise Stopped(number)

    for number in ASKING:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: Any) -> NoReturn:
    # What workers are left, their guard ends; what is half written, the next run ignores.
    with contextlib.suppress(OSError):
        show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # The bars hide it.
        os.write(2, show_cursor + b"stopped; what was finished is kept\n")
    os._exit(128 + number)
