"""Write files whole or not at all, durably, and read plain files without following links."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)
"""Without this flag, opening a named pipe waits for its writer."""
TEMPORARY = ".writing-"
"""The beginning of the names of unfinished files."""


def write_whole(final: Path, writer: Callable[[Path], None]) -> None:
    """Write a file at `final` with `writer`, which is called with a temporary path in the same folder.

    The file is made durable (fsync), then visible in one step (rename), then its name is made durable. If an error
    occurs before it is visible, nothing is left. A process that is killed leaves a hidden file that `bnnbench store gc`
    removes.
    """
    temporary = temporary_beside(final)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        writer(temporary)
        temporary.chmod(mode)  # safetensors writes files that their owner alone may read, whatever the umask.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(final.parent)


def write_bytes_whole(final: Path, content: bytes) -> None:
    """Write bytes at `final` as `write_whole` does."""

    def writer(path: Path) -> None:
        path.write_bytes(content)

    write_whole(final, writer)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, and make their names durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def discard(path: Path) -> None:
    """Remove a file or directory: it is renamed to a hidden name first, so that no half of it is ever visible.

    A link is removed, and not its target. Raises `FileNotFoundError` if there is nothing.
    """
    hidden = temporary_beside(path)
    os.replace(path, hidden)
    sync_folder(path.parent)
    if hidden.is_dir() and not hidden.is_symlink():
        shutil.rmtree(hidden)
    else:
        hidden.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. A loss of power may otherwise lose the name of a file that is durable."""
    if os.name == "nt":
        return  # Windows cannot open folders, and makes their entries durable itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_plain(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file; raises `OSError` for anything else, and for a file larger than `limit` bytes."""
    descriptor = os.open(path, os.O_RDONLY | _NO_LINKS | _WITHOUT_WAITING)
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path.name} is not a plain file")
        if limit is not None and state.st_size > limit:
            raise OSError(f"{path.name} is larger than {limit} bytes")
        return file.read()


def sum_of(path: Path) -> str:
    """The sha256 of a plain file, in hexadecimal; the file need not fit into memory."""
    descriptor = os.open(path, os.O_RDONLY | _NO_LINKS | _WITHOUT_WAITING)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is not a plain file")
        return hashlib.file_digest(file, "sha256").hexdigest()


def temporary_beside(final: Path) -> Path:
    """A path with a hidden and unique name in the folder of a file."""
    return final.parent / f"{TEMPORARY}{final.name[:40]}.{os.getpid()}-{uuid.uuid4().hex[:8]}"
