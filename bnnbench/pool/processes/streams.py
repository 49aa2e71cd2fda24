"""The standard streams of a process: all three are open, and a text for standard error neither fails nor waits long.

A command may be started with a closed stream (cron, services, `2>&-`), or with one whose reader has gone or does not
read. None of that may end a run or hold it up.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from typing import Any, TextIO

PATIENCE = 5.0
"""The longest time in seconds that a text for standard error waits for the reader of a full pipe."""
ATOMIC = 4096
"""Bytes that a pipe takes at once if it takes any: Linux's `PIPE_BUF`; a larger part might wait for the reader."""
LOST = b"[lines are missing here: standard error was not read]\n"


def open_standard_descriptors() -> None:
    """Open each of the descriptors 0, 1 and 2 that is closed, on the null device.

    Otherwise the next file that is opened has the number of a standard stream, and what is printed is written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # The lowest number that is free, which is this one.
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)


def errors_to(descriptor: int) -> TextIO:
    """A text stream in the encoding of standard error that writes to a descriptor, and drops what cannot be written."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    raw = io.BufferedWriter(_Dropping(descriptor))
    return io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=True)


class _OnDescriptor(io.RawIOBase):
    """A stream that writes to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


class _Dropping(_OnDescriptor):
    """Writes to a descriptor, and drops what cannot be written: the disk may be full, or the reader gone.

    It waits `PATIENCE` seconds for the reader of a full pipe, and not at all after it has waited in vain. A terminal is
    waited for: its user has stopped the output.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._in_vain = False
        self._waits = not _is_pipe(descriptor)

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                if not is_ready(self._descriptor, self._patience()):
                    self._in_vain = True
                    break
                if self._in_vain:
                    self._in_vain = False
                    os.write(self._descriptor, LOST)
                    continue
                left = left[_written(self._descriptor, left) :]
        except OSError:
            pass
        return size

    def _patience(self) -> float | None:
        if self._waits:
            return None
        return 0.0 if self._in_vain else PATIENCE


class Output(_OnDescriptor):
    """Writes to a descriptor, and waits as long as its reader takes, whether or not the pipe blocks.

    What follows a failure is dropped. `failure` is that of the operating system; it stays None if the reader of a pipe
    has closed it (`| head`), which is no error.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._gone = False
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and not self._gone:
                is_ready(self._descriptor, None)
                left = left[_written(self._descriptor, left) :]
        except BrokenPipeError:
            self._gone = True
        except OSError as error:
            self._gone, self.failure = True, error
        return size


def is_ready(descriptor: int, seconds: float | None) -> bool:
    """Whether a descriptor takes `ATOMIC` bytes, or fails at once, after at most so many seconds; None: any time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if seconds is None else 1000 * seconds))


def _written(descriptor: int, data: memoryview) -> int:
    """The number of bytes of a first part of `data` that a descriptor has taken."""
    try:
        return os.write(descriptor, data[:ATOMIC])
    except BlockingIOError:  # Another process has filled the pipe since, and the pipe is one that does not block.
        return 0


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
