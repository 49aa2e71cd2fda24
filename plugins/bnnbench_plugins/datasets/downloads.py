"""The user's cache of downloaded data files, which several processes may fill at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bnnbench import DataError

WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""The errors of file systems that have no locks."""


def cache() -> Path:
    """The folder of downloaded data in the user's cache. Raises `DataError` if the user has no home directory."""
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("bnnbench"), "data")
    if not folder.is_absolute():
        raise DataError("there is no cache for downloaded data: HOME is not set, and the user has no home directory")
    return folder


def download_once(root: Path, name: str, lacks: Callable[[], bool], fill: Callable[[Path], None]) -> None:
    """Let one process at a time download the files of a data set to a folder; the others wait, and find the files.

    Args:
        root: the folder of the cache, which is made.
        name: the name of the data set in the cache.
        lacks: whether files are still to be downloaded; it is asked again when this process may begin.
        fill: downloads into the empty folder that it is given, below `root`, and moves complete files to their places.
            The folder is removed afterwards.

    Raises `OSError` if the cache cannot be written to, and what `fill` raises.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root / f"{name}.lock") as alone:
        if not lacks():
            return
        prefix = f".{name}-"
        for left in root.glob(f"{prefix}*") if alone else ():
            shutil.rmtree(left, ignore_errors=True)  # It belongs to a process that was killed.
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        try:
            fill(work)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Hold the lock of a file, for which other processes wait; gives False where the file system has no locks.

    The operating system releases it when the process ends, however it ends.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            alone = True
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            alone = False
        yield alone
    finally:
        os.close(descriptor)
