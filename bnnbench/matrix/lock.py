"""One writer for a store: a lock of the operating system's, which ends with the process that holds it."""

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
from bnnbench.matrix.environment import command_line
from bnnbench.matrix.files import read_plain

LOCK = ".lock"
"""The file that is locked; it says who holds it."""
PATIENCE = 6.0
"""Seconds to wait for the lock of a process that is dead: its guard keeps it until its workers are dead too."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held: whoever inherits its descriptor holds it too."""

    descriptor: int
    inherited: bool
    """Whether who held it before was killed, or lost its power."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Lock]:
    """Hold the lock of a folder; raises `StoreError` naming the process that holds it if there is one.

    A killed process leaves its files and not its lock, so nothing is ever stale.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(descriptor, folder)
        inherited = os.fstat(descriptor).st_size > 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _myself().encode(), 0)
        try:
            yield Lock(descriptor, inherited)
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + PATIENCE
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
    try:
        text = read_plain(folder / LOCK, 4096).decode(errors="replace")
    except OSError:
        return ""
    return "".join(char for char in text if char.isprintable())


def _is_dead(holder: str) -> bool:
    """Whether what a lock says of its holder is about a process of this computer that is no more."""
    import psutil

    told = re.match(r"process (\d+) on (\S+) ", holder)
    return told is not None and told[2] == socket.gethostname() and not psutil.pid_exists(int(told[1]))


def _myself() -> str:
    program, *arguments = command_line()
    command = " ".join([Path(program).name, *arguments])[:200]
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}: {command}"
