"""The files that the building of a network reads: a network that reads another content is another network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bnnbench.core.local_modules import code_behind, read_by_the_file_of
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.network import Network
from bnnbench.core.project import project_folders
from bnnbench.core.read_files import checksum_of, watched

FIELD = "network_files"
"""The field of records that holds such files."""
Files = Mapping[str, str]
"""The sha256 of files by name: a name is relative to the folder of the network's own file, or absolute."""


@contextmanager
def noted(network: Network, found: dict[str, str]) -> Iterator[None]:
    """Note in `found` the names of the files that the body reads, with their checksums, when it ends or raises.

    The body builds the network. What was read while the network's own file was imported is noted too.
    """
    files: Mapping[Path, str] = {}
    try:
        with watched() as files:
            yield
    finally:
        place = _place_of(network)
        read = {**read_by_the_file_of(type(network)), **files}
        found.update(sorted((_name(file, place), checksum) for file, checksum in read.items()))


def in_record(record: Mapping[str, Any] | None) -> Files:
    """The files in a record; none if it has none, or something else in their place."""
    files = (record or {}).get(FIELD)
    if not isinstance(files, dict) or not all(isinstance(one, str) for pair in files.items() for one in pair):
        return {}
    return files


def changed(before: Files, network: Network) -> str | None:
    """The first of the files that has another content now; None if there is none. An absent file has not changed."""
    if not before:
        return None
    place = _place_of(network)
    for name, checksum in before.items():
        now = checksum_of(_path(name, place))
        if now is not None and now != checksum:
            return str(_path(name, place))
    return None


def difference(before: Files, now: Files, network: Network) -> str | None:
    """What has become of the first of the files that a network read before, if it reads another content now."""
    place = _place_of(network)
    for name, checksum in before.items():
        current = now.get(name) or checksum_of(_path(name, place))
        if current is None:
            return f"{_path(name, place)}, which it read when it was fitted, is gone"
        if current != checksum:
            return f"{_path(name, place)}, which it read when it was fitted, has changed since"
    return None


def _place_of(network: Network) -> tuple[Path, list[Path]] | None:
    """The folder of the network's own file, and those of its project; None for a network that is installed."""
    if isinstance(network, ModuleFile):
        path, base = Path(network.path).resolve(), network.project
        return path.parent, project_folders(path, Path(base).resolve() if base else None)
    code = code_behind(type(network))
    return (code.folder, code.folders) if code else None


def _name(file: Path, place: tuple[Path, list[Path]] | None) -> str:
    """The name of a file in records: relative if it belongs to the project, so that the project may be moved."""
    file = Path(os.path.realpath(file.parent), file.name)
    if place is None or not any(file.is_relative_to(folder) for folder in (place[0], *place[1])):
        return str(file)
    return Path(os.path.relpath(file, place[0])).as_posix()


def _path(name: str, place: tuple[Path, list[Path]] | None) -> Path:
    return Path(os.path.normpath(place[0] / name)) if place else Path(name)
