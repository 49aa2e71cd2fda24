"""Which files some code opens for reading, with the checksums of their content.

Python tells every file that it opens to audit hooks. A hook cannot be removed, so there is one for the process, which
does nothing while no code is watched. Files that other languages open by themselves are not seen, but for those of the
`native_readers`.
"""

from __future__ import annotations

import functools
import importlib.util
import linecache
import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from bnnbench.core.user_code.file_sums import checksum_of_file
from bnnbench.core.user_code.native_readers import announce
from bnnbench.core.user_code.project import folders_of_components, is_installed
from bnnbench.errors import DataError

Sums = Mapping[Path, str | None]
"""Files that were opened, with the sha256 of their content; None for one that could not be, because it is absent.

A file that was written has `WRITTEN`, for its content is an outcome.
"""
WRITTEN = ""
"""What stands for the content of a file that was written."""
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/run", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share")
"""Folders of the system, whose files are not looked at."""


class _Watch:
    """What was opened since the watch began, by its own thread and by threads that this has started since."""

    def __init__(self) -> None:
        self.read: dict[str, str | None] = {}
        """The files that were read, with their checksums before that if they were opened for writing too."""
        self.absent: set[str] = set()
        self.written: set[str] = set()
        self.kept: dict[str, set[str]] = {}
        """The modules that keep what they read of a file, by the file."""
        # The threads themselves, for the number of one that has ended may be given to a new one.
        self.threads = {threading.current_thread()}

    def hear(self, path: str, flags: int, may_be_absent: bool, keepers: set[str]) -> None:
        if flags & (os.O_CREAT | os.O_TRUNC) or flags & os.O_ACCMODE == os.O_WRONLY:
            self.written.add(path)
        elif os.path.exists(path):
            if path not in self.read:
                self.read[path] = None if flags & os.O_ACCMODE == os.O_RDONLY else checksum_of(Path(path))
            self.kept.setdefault(path, set()).update(keepers)
        elif may_be_absent:
            self.absent.add(path)

    def sums(self) -> Iterator[tuple[str, Path, str | None]]:
        """The paths that were opened, the files that they stand for, and what stands for the content of these."""
        for path, before in self.read.items():
            file = Path(_source_of(path))
            if path not in self.written and _counts(file) and (checksum := checksum_of(file)):
                yield path, file, checksum if before in (None, checksum) else WRITTEN
        for path in self.absent - self.written:
            file = Path(_source_of(path))
            if not file.exists() and _counts(file):
                yield path, file, None
        for path in self.written:
            if os.path.isfile(path) and _counts(Path(path)):
                yield path, Path(path), WRITTEN


_watches: list[_Watch] = []


class _Deaf(threading.local):
    depth = 0
    """How many calls of `unwatched` the thread is inside of."""


_deaf = _Deaf()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches or _deaf.depth:
        return
    if event == "open":
        path, mode, flags = arguments
        # A relative path without a mode is from `os.open`, and may be relative to another folder.
        if isinstance(flags, int) and not _is_incidental(sys._getframe(1)):
            _note(path, flags, mode is not None)
    elif event == "sqlite3.connect":
        _note(arguments[0], os.O_RDWR, False)
    elif event == "os.rename":
        _note(arguments[1], os.O_WRONLY)


def _own_watches() -> list[_Watch]:
    """The watches that hear this thread."""
    return [watch for watch in list(_watches) if threading.current_thread() in watch.threads]


def _note(path: Any, flags: int = os.O_RDONLY, may_be_absent: bool = True) -> None:
    """Tell every watch of this thread that a file is opened."""
    watches = _own_watches() if isinstance(path, str | bytes | os.PathLike) and not _deaf.depth else []
    if not watches:
        return
    name = os.fsdecode(path)
    # sqlite takes the address of a file too.
    place = os.path.abspath(unquote(urlsplit(name).path) if name.startswith("file:") else name)
    keepers = set(_keepers(sys._getframe(1)))
    for watch in watches:
        watch.hear(place, flags, may_be_absent or os.path.isabs(name), keepers)


def _keepers(frame: FrameType | None) -> Iterator[str]:
    """The top-level modules of the functions that are running and whose values `functools` keeps."""
    while frame is not None:
        function = frame.f_globals.get(frame.f_code.co_name)
        if isinstance(function, functools._lru_cache_wrapper) and not _is_installed(frame.f_code.co_filename):
            yield str(frame.f_globals.get("__name__", "")).partition(".")[0]
        frame = frame.f_back


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
    """Install the hook, and let each thread that is started belong to the watches of the one that starts it."""
    sys.addaudithook(_hear)
    start = threading.Thread.start

    @functools.wraps(start)
    def started(thread: threading.Thread) -> None:
        for watch in _own_watches() if _watches else ():
            watch.threads.add(thread)
        start(thread)

    # Python has no event that tells which thread has started another one.
    threading.Thread.start = started  # type: ignore[method-assign, assignment]


_kept: dict[str, dict[Path, str | None]] = {}
"""What each module has read in functions whose values `functools` keeps: they do not read it again."""


def kept_by(modules: Iterable[str]) -> Sums:
    """The files whose content top-level modules may have kept since they read it under a watch, with their checksums.

    Only what functions with `functools.cache` or `lru_cache` have read is known.
    """
    return {file: checksum for module in modules for file, checksum in _kept.get(module, {}).items()}


@contextmanager
def watched() -> Iterator[Sums]:
    """A mapping from the files that the body opens to their sha256; it is filled when the body ends.

    A file that could not be opened, and is absent still, has None, and one that the body has written `WRITTEN`. Left
    out are the files of the system, of installed distributions and of the modules of plugins, and what an installed
    module reads while it is imported. A file that is opened for reading and writing counts as read if its content is as
    before. A compiled module stands for its source. Only the thread of the caller is watched, and threads that it
    starts.
    """
    _install()
    announce(_note)
    found: dict[Path, str | None] = {}
    watch = _Watch()
    _watches.append(watch)
    try:
        yield found
    finally:
        _watches.remove(watch)
        for path, file, checksum in watch.sums():
            found[file] = checksum
            for module in watch.kept.get(path, ()):
                _kept.setdefault(module, {})[file] = checksum


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
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with unwatched():
            return checksum_of_file(path)
    except (OSError, DataError):
        return None


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
