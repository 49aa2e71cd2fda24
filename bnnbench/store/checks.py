"""Check a record on disk: its own checksum, its fields, and the files that it names."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.store import files
from bnnbench.store.layout import RECORD
from bnnbench.store.records import check_fields, own_sum, with_defaults

LARGEST_RECORD = 64 * 2**20
"""Bytes. A record holds numbers and texts; its arrays are in a file beside it."""
_DAMAGE = (None, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENOTDIR)
"""Error numbers that tell of a damaged file; others tell of the process that reads it: its rights, its descriptors."""


def checked(place: Path) -> dict[str, Any]:
    """The record in a directory: its own checksum is verified, and that its artefacts are there with their sizes.

    Raises `FileNotFoundError` if there is no record, `StoreError` if it is damaged, and another `OSError` if it cannot
    be read, so that nothing is known of it.
    """
    return _parsed(place, _record_bytes(place))


def verified(place: Path) -> dict[str, Any]:
    """The record in a directory, checked, with the checksums of its artefacts verified; raises as `checked` does."""
    record = checked(place)
    for name, expected in record["artefacts"].items():
        verify(place / name, expected)
    return record


def verified_files(place: Path) -> dict[str, bytes]:
    """The files of a record in a directory by name, all verified; raises as `checked` does.

    They must fit into memory.
    """
    content = _record_bytes(place)
    artefacts = _parsed(place, content)["artefacts"]
    return {RECORD: content} | {name: verified_bytes(place / name, expected) for name, expected in artefacts.items()}


def verify(path: Path, expected: Mapping[str, Any]) -> None:
    """Raise `StoreError` if an artefact does not have the checksum that its record states, or is missing.

    Raises another `OSError` if it cannot be read, so that nothing is known of it.
    """
    try:
        found = files.sum_of(path)
    except OSError as error:
        raise as_damage(error, path.name) from error
    compare_sums(path, found, expected)


def verified_bytes(path: Path, expected: Mapping[str, Any]) -> bytes:
    """The content of an artefact, verified; raises as `verify` does. It must fit into memory."""
    try:
        content = files.read_plain(path, expected["bytes"])
    except OSError as error:
        raise as_damage(error, path.name) from error
    compare_sums(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def compare_sums(path: Path, sha256: str, expected: Mapping[str, Any]) -> None:
    """Raise `StoreError` unless the checksum of an artefact is the one that its record states."""
    if sha256 != expected["sha256"]:
        raise StoreError(f"{path.name} does not have its checksum")


def as_damage(error: OSError, name: str) -> Exception:
    """The `StoreError` of a damaged file; the error itself if it tells of the reading process and not of the file."""
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{name} is missing")
    return StoreError(f"{name} cannot be read: {reason_of(error)}") if error.errno in _DAMAGE else error


def reason_of(error: Exception) -> str:
    """The text of an error of the operating system, in lower case and without the path."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _record_bytes(place: Path) -> bytes:
    if place.is_symlink():
        raise StoreError("it is a link, and links are not followed")
    try:
        return files.read_plain(place / RECORD, LARGEST_RECORD)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise as_damage(error, RECORD) from error


def _parsed(place: Path, content: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(content)
        if record["sha256"] != own_sum(record):
            raise StoreError("the record does not have its own checksum")
        if record["key"] != place.name:
            raise StoreError("the record is that of another key")
        check_fields(record)
        for name, expected in record["artefacts"].items():
            _check_size(place, name, expected)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError("it is no record of bnnbench, or half of one") from error
    return with_defaults(record)


def _check_size(place: Path, name: str, expected: Mapping[str, Any]) -> None:
    if Path(name).name != name:
        raise StoreError("the record names a file elsewhere")
    if not isinstance(expected["sha256"], str):
        raise StoreError("the record states no checksum")
    try:
        state = (place / name).stat(follow_symlinks=False)
    except OSError as error:
        raise as_damage(error, name) from error
    if not stat.S_ISREG(state.st_mode):
        raise StoreError(f"{name} is not a plain file")
    if state.st_size != expected["bytes"]:
        raise StoreError(f"{name} does not have its size")
