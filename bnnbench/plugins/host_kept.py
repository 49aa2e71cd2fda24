"""Keep what a plugin may change of the whole process while it is imported."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

_STREAMS = ("stdin", "stdout", "stderr")
_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def host_kept() -> Iterator[None]:
    """A context for the import of a plugin's code.

    Afterwards the working directory, the standard streams, and the handlers of Ctrl-C and SIGTERM are what they were.
    Otherwise relative paths of the command line would lead elsewhere, and a run could not be stopped.
    """
    folder = _folder()
    streams = {name: getattr(sys, name) for name in _STREAMS}
    handlers = {number: signal.getsignal(number) for number in _STOPPING}
    try:
        yield
    finally:
        if folder is not None and _folder() != folder:
            with contextlib.suppress(OSError):
                os.chdir(folder)
        for name, stream in streams.items():
            setattr(sys, name, stream)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                # None is the handler of a program that embeds Python, which cannot be set from here.
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


def _folder() -> str | None:
    """The working directory; None if it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None
