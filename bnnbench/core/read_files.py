"""Which files some code opens for reading, with the checksums of their content.

Python tells every file that it opens to audit hooks. A hook cannot be removed, so there is one for the process, which
does nothing while no code is watched. Files that other languages open by themselves are not seen, but for those of the
`native_readers`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import linecache
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bnnbench.core.native_readers import announced
from bnnbench.core.project import folders_of_components, is_installed

SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/run", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share")
"""Folders of the system, whose files are not looked at."""
LARGE = 2**20
"""Size in bytes from which on a file is not read again if its size and its time of change are the same."""


class _Watch:
    """What was opened since the watch began, by its own thread and by threads that were started since."""

    def __init__(self) -> None:
        self.read: dict[str, None] = {}
        self.written: set[str] = set()
        # The threads themselves, for the number of one that has ended may be given to a new one.
        self._others = set(threading.enumerate()) - {threading.current_thread()}

    def hear(self, path: str, flags: int) -> None:
        if threading.current_thread() in self._others:
            return
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & (os.O_CREAT | os.O_TRUNC):
            self.written.add(path)
        else:
            self.read[path] = None


_watches: list[_Watch] = []


class _Deaf(threading.local):
    depth = 0
    """How many calls of `unwatched` the thread is inside of."""


_deaf = _Deaf()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches or event not in ("open", "sqlite3.connect") or _deaf.depth:
        return
    path, flags = arguments[0], arguments[2] if event == "open" else os.O_RDONLY
    if isinstance(flags, int) and not _is_incidental(sys._getframe(1)):
        _note(path, flags)


def _note(path: Any, flags: int = os.O_RDONLY) -> None:
    """Tell every watch that a file is opened."""
    if isinstance(path, str | bytes | os.PathLike):
        place = os.path.abspath(os.fsdecode(path))
        for watch in list(_watches):
            watch.hear(place, flags)


def _is_incidental(frame: FrameType | None) -> bool:
    """Whether a file is opened for no purpose of the code: while an installed module is imported, or for a traceback.

    torch takes tracebacks when it seeds generators, and they read the source of every file that is running.
    """
    while frame is not None:
        code, frame = frame.f_code, frame.f_back
        # The module that a program begins with is not imported.
        imported = frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")
        if code.co_name == "<module>" and imported and _is_installed(code.co_filename):
            return True
        if code.co_filename == linecache.__file__:
            return True
    return False


@functools.lru_cache(maxsize=4096)
def _is_installed(name: str) -> bool:
    return is_installed(Path(name))


@functools.cache
def _install() -> None:
    sys.addaudithook(_hear)


@contextmanager
def watched() -> Iterator[dict[Path, str]]:
    """A mapping from the files that the body opens for reading to their sha256; it is filled when the body ends.

    Left out are the files of the system, of installed distributions and of the modules of plugins, what an installed
    module reads while it is imported, and files that the body writes. A compiled module stands for its source.
    """
    _install()
    found: dict[Path, str] = {}
    watch = _Watch()
    _watches.append(watch)
    try:
        with announced(_note):
            yield found
    finally:
        _watches.remove(watch)
        for path in dict.fromkeys(map(_source_of, watch.read)):
            if path not in watch.written and _counts(Path(path)) and (checksum := checksum_of(Path(path))):
                found[Path(path)] = checksum


@contextmanager
def unwatched() -> Iterator[None]:
    """Let what the body opens in this thread pass by every watch."""
    _deaf.depth += 1
    try:
        yield
    finally:
        _deaf.depth -= 1


def checksum_of(path: Path) -> str | None:
    """The sha256 of a file, in hexadecimal; None if it is no regular file, or cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size < LARGE:
            return _checksum(path)
        return _checksum_of_large(path, status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=256)
def _checksum_of_large(path: Path, *_: int) -> str:
    return _checksum(path)


def _checksum(path: Path) -> str:
    with unwatched(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source_of(path: str) -> str:
    if not path.endswith(".pyc"):
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def _counts(path: Path) -> bool:
    """Whether a file is none of the system, of an installed distribution, or of the modules of a plugin."""
    return not (
        any(path.is_relative_to(folder) for folder in SYSTEM)
        or is_installed(path)
        or (path.suffix == ".py" and any(path.is_relative_to(folder) for folder in folders_of_components()))
    )
