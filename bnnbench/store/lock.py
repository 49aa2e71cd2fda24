"""The lock of a store: one writer at a time. The operating system releases it when the process that holds it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bnnbench.errors import StoreError
from bnnbench.store.environment import command_line
from bnnbench.store.files import read_plain

LOCK = ".lock"
"""The file that is locked. It holds a text that names the process that holds the lock."""
WAIT_FOR_THE_DEAD = 6.0
"""Seconds to wait for the lock of a dead process: its guard keeps the lock until its workers are dead too."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held.

    `descriptor` is that of the locked file; a process that inherits it holds the lock too. `after_a_crash` says whether
    the process that held the lock before was killed, or lost its power.
    """

    descriptor: int
    after_a_crash: bool


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Hold the lock of a folder; raises `StoreError` that names the process that holds it if there is one.

    A killed process leaves the file and not the lock, so a lock is never stale.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(descriptor, folder)
        # A process that releases the lock empties the file; one that was killed leaves its text.
        after_a_crash = os.fstat(descriptor).st_size > 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _this_process().encode(errors="backslashreplace"), 0)
        try:
            yield Lock(descriptor, after_a_crash)
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + WAIT_FOR_THE_DEAD
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(folder)
            if not _is_dead(holder) or time.monotonic() > until:
                raise StoreError(
                    f"{folder} is in use by {holder or 'another process'}; wait for it, or use another store"
                ) from error
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
                raise
            raise StoreError(f"{folder} lies on a file system without locks: keep the store on another one") from error


def _holder(folder: Path) -> str:
    """The text that names the process that holds the lock; empty if there is none."""
    try:
        text = read_plain(folder / LOCK, 4096).decode(errors="replace")
    except OSError:
        return ""
    return "".join(char for char in text if char.isprintable())


def _is_dead(holder: str) -> bool:
    """Whether the text of a lock names a process of this computer that has ended."""
    import psutil

    named = re.match(r"process (\d+) on (\S+) ", holder)
    return named is not None and named[2] == socket.gethostname() and not psutil.pid_exists(int(named[1]))


def _this_process() -> str:
    program, *arguments = command_line()
    command = " ".join([Path(program).name, *arguments])[:200]
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}: {command}"
