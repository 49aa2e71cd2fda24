"""Find, download, verify and read IDX files in torchvision's folder layout, unpacked or still packed (`.gz`)."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from bnnbench import DataError

VARIABLE = "BNNBENCH_DATA"
"""The environment variable that names the folder of the data files."""
GZIP = b"\x1f\x8b"
"""The first bytes of a packed file. Some programs unpack a file that they download, and leave its name as it is."""


def find_files(folder: str, md5: dict[str, str]) -> dict[str, Path]:
    """The paths of a data set's files, by name, after the md5 checksums of their unpacked contents were verified.

    The files are `$BNNBENCH_DATA/<folder>/raw/<name>` if the variable is set, or `<name>.gz` where `<name>` is absent.
    Otherwise they lie in the user's cache. If some are absent or damaged there, torchvision downloads all of them, in
    one process at a time.

    Args:
        folder: the data set's folder, which is also its class name in `torchvision.datasets`.
        md5: file name -> expected checksum of the unpacked file, in hexadecimal.

    Raises `DataError` if a file is absent from the given folder, has another checksum, or cannot be downloaded.
    """
    given = os.environ.get(VARIABLE)
    return _given(Path(given, folder, "raw"), folder, md5) if given else _cached(folder, md5)


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, packed or not: uint8, with the axes that its header states.

    Raises `DataError` if the file has another format or another length than its header states.
    """
    content = b"".join(_parts(path))
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    axes = content[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else ()
    if len(content) != start + math.prod(shape) or len(shape) != axes:
        raise DataError(f"{path} has another length than its header states: shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _given(raw: Path, folder: str, md5: dict[str, str]) -> dict[str, Path]:
    """The verified files of the folder that the user has named."""
    files = {}
    for name, checksum in md5.items():
        path = _present(raw / name)
        if path is None:
            raise DataError(
                f"{raw / name} is not there; {VARIABLE} must name a folder that holds {folder}/raw, in torchvision's "
                f"layout (a packed file, {name}.gz, will do)"
            )
        _verify(path, checksum)
        files[name] = path
    return files


def _cached(folder: str, md5: dict[str, str]) -> dict[str, Path]:
    """The verified files of the user's cache, which are downloaded if they are absent or damaged."""
    from bnnbench_plugins.datasets.downloads import cache, download_once

    root = cache()
    raw = root / folder / "raw"
    if not _intact(raw, md5):
        try:
            download_once(root, folder, lambda: not _intact(raw, md5), lambda work: _download(folder, md5, work, raw))
        except DataError:
            raise
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(
                f"{folder} is absent from {root}, or damaged, and {error.filename or root} cannot be written to "
                f"({reason}); put torchvision's files into FOLDER/{folder}/raw and set {VARIABLE}=FOLDER"
            ) from error
    return {name: _present(raw / name) or raw / name for name in md5}


def _download(folder: str, md5: dict[str, str], work: Path, raw: Path) -> None:
    """Download a data set to a folder, and move its files to another one when all of them are verified."""
    # torchvision knows the mirrors. Its import takes seconds, so it is made only where a download is needed.
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, folder)(str(work), download=True)
        downloaded = _given(work / folder / "raw", folder, md5)
    except Exception as error:  # an interrupted download raises errors of many classes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{folder} is absent from {raw.parents[1]}, or damaged, and could not be downloaded ({reason}); "
            f"without a network, put torchvision's files into FOLDER/{folder}/raw and set {VARIABLE}=FOLDER"
        ) from error
    raw.mkdir(parents=True, exist_ok=True)
    for path in downloaded.values():
        os.replace(path, raw / path.name)


def _present(path: Path) -> Path | None:
    """The path of a file, or of the packed file beside it; None if neither is there. An unpacked file comes first.

    Raises `DataError` if the folder cannot be looked into.
    """
    packed = path.with_name(f"{path.name}.gz")
    try:
        return next((one for one in (path, packed) if one.is_file()), None)
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def _intact(raw: Path, md5: dict[str, str]) -> bool:
    """Whether a folder has all files with their checksums."""
    paths = {name: _present(raw / name) for name in md5}
    if None in paths.values():
        return False
    try:
        for name, path in paths.items():
            _verify(cast(Path, path), md5[name])
    except DataError:
        return False
    return True


def _verify(path: Path, expected: str) -> None:
    """Raise `DataError` unless the unpacked content of a file has this md5."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in _parts(path):
        digest.update(part)
    if digest.hexdigest() != expected:
        raise DataError(f"{path} is damaged or another file: its md5 is {digest.hexdigest()}, not {expected}")


def _parts(path: Path) -> list[bytes]:
    """The unpacked content of a file, in parts. Raises `DataError` if it cannot be read or unpacked."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
            return list(iter(lambda: source.read(2**20), b""))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: it cannot be unpacked ({error})") from error
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
