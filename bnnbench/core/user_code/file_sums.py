"""Checksums of files, computed again when a file may have changed."""

from __future__ import annotations

import functools
import hashlib
import time
from pathlib import Path

from bnnbench.errors import DataError

SETTLED = 2.0
"""Age in seconds from which a file's times tell a later change. Clocks of file systems have a coarse resolution."""


def checksum_of_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    It is computed once in a process, and again if the file's size, times or inode change. Raises `DataError` if the
    file cannot be read.
    """
    try:
        state = path.stat()
        changed = max(state.st_mtime, state.st_ctime)
        kept = _kept if time.time() - changed > SETTLED else _computed
        return kept(str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _computed(path: str, *state: int) -> str:
    """The sha256 of a file. `state` is what a change of the file changes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_kept = functools.cache(_computed)
