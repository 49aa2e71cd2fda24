"""One writer for a store: a lock of the operating system's, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bnnbench.errors import StoreError
from bnnbench.matrix.files import read_plain

LOCK = ".lock"
HOLDER = ".holder"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; raises `StoreError` naming the process that holds it if there is one.

    A killed process leaves its files and not its lock, so nothing is ever stale.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(descriptor, folder)
        (folder / HOLDER).write_text(_myself(), encoding="utf-8")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                (folder / HOLDER).unlink()
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"{folder} is in use by {_holder(folder)}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise
        raise StoreError(f"{folder} lies on a file system without locks: keep the store on another one") from error


def _holder(folder: Path) -> str:
    try:
        text = read_plain(folder / HOLDER, 4096).decode(errors="replace")
    except OSError:
        return "another process"
    return "".join(char for char in text if char.isprintable()) or "another process"


def _myself() -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}: {command}"
