"""Data files of installed packages."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

from bnnbench import DataError


def package_file(package: str, name: str) -> Path:
    """The path of a data file of an installed package, found without importing the package.

    `name` is the file's path inside the package's folder. Raises `DataError` if the package or the file is absent.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or []
    path = next((Path(folder, name) for folder in folders if Path(folder, name).is_file()), None)
    if path is None:
        raise DataError(f"the installed {package} has no file {name}")
    return path


@functools.cache
def checksum_of_package_file(package: str, name: str) -> str:
    """The sha256 of a data file of an installed package, in hexadecimal. Raises `DataError` if the file is absent."""
    return hashlib.sha256(package_file(package, name).read_bytes()).hexdigest()
