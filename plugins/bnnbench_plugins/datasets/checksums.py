"""Checksums of data files, for fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from bnnbench.authoring import checksum_of_file as checksum_of_file


def checksum_of_files(folder: Path, files: Iterable[Path]) -> str:
    """The sha256 of the names of files, as paths from a folder, and of their contents, in hexadecimal.

    The order of the files has no effect. Raises `DataError` if one cannot be read.
    """
    named = {path.relative_to(folder).as_posix(): path for path in files}
    lines = [f"{name!r} {checksum_of_file(named[name])}\n" for name in sorted(named)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
