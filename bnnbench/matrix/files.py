"""Files that are there whole or not at all, and reads that follow no links."""

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


def write_whole(final: Path, writer: Callable[[Path], None]) -> None:
    """Let `writer` make a file beside `final`, make it durable, then visible in one step, then durable where it is.

    Whatever goes wrong before the file is visible leaves nothing behind; a process that is killed leaves a hidden
    file that `bnnbench store gc` removes.
    """
    temporary = temporary_beside(final)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        writer(temporary)
        temporary.chmod(mode)  # safetensors writes files that nobody else may read, whatever the umask says.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(final.parent)


def write_bytes_whole(final: Path, content: bytes) -> None:
    """`write_whole` for bytes."""

    def writer(path: Path) -> None:
        path.write_bytes(content)

    write_whole(final, writer)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, each durable where it is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def discard(doomed: Path) -> None:
    """Remove a file or directory, which leaves its place whole: nobody finds half of it. A link is removed, not what it
    leads to. Raises `FileNotFoundError` if there is nothing."""
    hidden = temporary_beside(doomed)
    os.replace(doomed, hidden)
    sync_folder(doomed.parent)
    if hidden.is_dir() and not hidden.is_symlink():
        shutil.rmtree(hidden)
    else:
        hidden.unlink()


def sync_folder(folder: Path) -> None:
    """Make what stands in a folder durable: names are lost with the power otherwise, though the files are not."""
    if os.name == "nt":
        return  # Windows opens no folders, and makes their entries durable itself.
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
    """A hidden name beside a file, that nobody else uses."""
    return final.parent / f"{TEMPORARY}{final.name[:40]}.{os.getpid()}-{uuid.uuid4().hex[:8]}"


TEMPORARY = ".writing-"
"""How the names of unfinished files begin."""
