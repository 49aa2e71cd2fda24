"""Data files of installed packages."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path


@functools.cache
def checksum_of_package_file(package: str, name: str) -> str:
    """The sha256 of a data file of an installed package, which is not imported; empty if it is not where it was."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return ""
    path = Path(spec.submodule_search_locations[0], name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
