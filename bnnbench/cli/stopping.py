"""Ctrl-C and SIGTERM: the first ends a run in order, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, NoReturn


class Stopped(BaseException):
    """Somebody asked this process to stop; `code` is what it exits with."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        super().__init__(signal.Signals(number).name)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """While this is entered, in the main thread, the first signal raises `Stopped`; a second one ends the process."""
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in wanted}

    def stop(number: int, frame: Any) -> NoReturn:
        for each in wanted:
            signal.signal(each, _end)
        raise Stopped(number)

    for number in wanted:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: Any) -> NoReturn:
    # What workers are left, their guard ends.
    os._exit(128 + number)
