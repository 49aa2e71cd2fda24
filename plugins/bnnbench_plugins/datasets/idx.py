"""Find, download, verify and read IDX files in torchvision's folder layout."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np

from bnnbench import DataError

VARIABLE = "BNNBENCH_DATA"
"""The environment variable that names the folder of the data files."""


def find_files(folder: str, md5: dict[str, str]) -> dict[str, Path]:
    """The paths of a data set's files, by name, after their md5 checksums were verified.

    The files are `$BNNBENCH_DATA/<folder>/raw/<name>` if the variable is set. Otherwise they lie in the user's cache,
    and torchvision downloads them there first if they are absent.

    Args:
        folder: the data set's folder, which is also its class name in `torchvision.datasets`.
        md5: file name -> expected checksum, in hexadecimal.

    Raises `DataError` if a file is absent from the given folder, has another checksum, or cannot be downloaded.
    """
    given = os.environ.get(VARIABLE)
    root = Path(given) if given else _cache()
    files = {name: root / folder / "raw" / name for name in md5}
    absent = [path for path in files.values() if not path.is_file()]
    if absent and given:
        raise DataError(
            f"{absent[0]} is not there; {VARIABLE} must name a folder that holds {folder}/raw, in torchvision's layout"
        )
    if absent:
        _download(folder, root)
    for name, path in files.items():
        checksum = _md5(path)
        if checksum != md5[name]:
            raise DataError(f"{path} is damaged or another file: its md5 is {checksum}, not {md5[name]}")
    return files


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, uint8, with the axes that its header states.

    Raises `DataError` if the file has another format or another length than its header states.
    """
    content = path.read_bytes()
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    axes = content[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else ()
    if len(content) != start + math.prod(shape) or len(shape) != axes:
        raise DataError(f"{path} has another length than its header states: shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("bnnbench"), "data")


def _download(folder: str, root: Path) -> None:
    # torchvision knows the mirrors. Its import takes seconds, so it is made only where a download is needed.
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, folder)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{folder} is not in {root} and could not be downloaded ({error}); "
            f"without a network, put torchvision's files into FOLDER/{folder}/raw and set {VARIABLE}=FOLDER"
        ) from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
