"""Outcomes on disk: a content-addressed directory of records with their arrays.

    store.json                                               the format
    fits/<key>/record.json, draws.safetensors
    chains/<key>-<chain>/record.json, draws.safetensors      of a fit that is not finished
    cells/<key>/record.json, arrays.safetensors
    runs/<time>.json                                         manifests
    quarantine/

The matrix is a view; the store is the truth. A record is written once, whole, after the artefacts that it names, and
carries its own sha256 and theirs. Every load verifies; what fails counts as absent, and who holds the store moves it to
`quarantine`. Links are not followed, and nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from bnnbench.errors import StoreError, StoreUnwritable, one_line
from bnnbench.matrix import files, formats, lock

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
FITS, CHAINS, CELLS = "fits", "chains", "cells"
"""The kinds of records."""
DRAWS = "draws.safetensors"
ARRAYS = "arrays.safetensors"
RECORD = "record.json"
KEY = re.compile("[0-9a-f]{64}(-[0-9]+)?")
"""What the directories of records are called; a chain's has its number at its end."""
_DAMAGE = (None, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENOTDIR)
"""Errors that a file has of its own; others are those of whoever reads it: rights, memory, descriptors, a network."""
_DEFAULTS: dict[str, Any] = {"reason": "", "warnings": [], "environment": {}, "identity": {}, "seconds": 0.0}
SECOND_LOOK = 0.1
"""Seconds after which a reader looks again at what it could not believe."""
LONGEST = 1e12
"""Seconds that anything may have taken."""
STATUSES = ("ok", "failed", "timeout", "invalid", "skipped")
LARGEST_RECORD = 64 * 2**20
"""Bytes: a record holds figures and a traceback, and its arrays stand beside it."""


def _changes_the_store(
    method: Callable[Concatenate[Store, Arguments], Value],
) -> Callable[Concatenate[Store, Arguments], Value]:
    """Errors of the disk become a `StoreUnwritable` that names the store."""

    @functools.wraps(method)
    def changing(self: Store, *arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
        try:
            return method(self, *arguments, **options)
        except Exception as error:
            from safetensors import SafetensorError

            if not isinstance(error, OSError | SafetensorError):
                raise
            reason = one_line(_words(error))
            raise StoreUnwritable(f"{self.path} cannot be written to: {reason}; what it holds is whole") from error

    return changing


class Store:
    """A store's directory. Anybody may read it; to write, hold it: `with store.held(): ...`.

    Raises `StoreError` where the directory is something else, or a store of a later format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged: list[str] = []
        """What was not believed, each with its reason and what became of it."""
        self.distrusted: set[tuple[str, str]] = set()
        """The kinds and the keys of the same."""
        self.lock: int | None = None
        """The descriptor of its lock, while it is held: whoever inherits it holds the store too."""
        formats.found(self.path)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the directory, be its only writer, and bring it to the current format.

        Raises `StoreError` if it cannot be written to, or naming the process that holds it.
        """
        with contextlib.ExitStack() as stack:
            try:
                files.make_folder(self.path)
                own = stack.enter_context(lock.held(self.path))
                self.lock = own.descriptor
                formats.migrate(self.path)
                for kind in (FITS, CHAINS, CELLS):
                    files.make_folder(self.path / kind)
                self._sync_folders(own.inherited)
            except OSError as error:
                raise StoreError(f"{self.path} cannot be used as a store: {_words(error)}") from error
            try:
                yield
            finally:
                self.lock = None

    def _sync_folders(self, inherited: bool) -> None:
        """What is seen here must last before anybody relies on it: who made it may have been killed before it did."""
        with contextlib.suppress(PermissionError):  # One may enter a folder that one may not read.
            files.sync_folder(self.path.absolute().parent)
        files.sync_folder(self.path)
        for kind in (FITS, CHAINS, CELLS):
            files.sync_folder(self.path / kind)
            for key in self.keys(kind) if inherited else ():
                if not self.place(kind, key).is_symlink():
                    files.sync_folder(self.place(kind, key))

    def place(self, kind: str, key: str) -> Path:
        """The directory of a record."""
        return self.path / kind / key

    def record(self, kind: str, key: str) -> dict[str, Any] | None:
        """A verified record, with its artefacts verified too; None if there is none, or none that can be trusted.

        Raises `StoreError` for one that cannot be read, which says nothing of what it holds.
        """
        place = self.place(kind, key)
        try:
            return self.verified(place)
        except FileNotFoundError:
            return None
        except StoreError as error:
            self._not_believed(kind, key, str(error))
            return None
        except OSError as error:
            raise StoreError(f"{place} cannot be read: {_words(error)}") from error

    def verified(self, place: Path) -> dict[str, Any]:
        """`verified`, once more where somebody else may be writing: a record may have been replaced between the look at
        it and the look at its arrays."""
        try:
            return verified(place)
        except StoreError:
            if self.lock is not None:
                raise
            time.sleep(SECOND_LOOK)
            return verified(place)

    def arrays(self, kind: str, key: str, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of a record, verified once more as they are read; raises `StoreError` if they have changed."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        place = self.place(kind, key) / ARRAYS
        expected = record["artefacts"][ARRAYS]
        try:
            content = files.read_plain(place, expected["bytes"])
        except OSError as error:
            raise StoreError(f"{place}: {_words(error)}") from error
        except MemoryError as error:
            raise StoreError(f"{place} does not fit into memory") from error
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise StoreError(f"{place} does not have its checksum")
        try:
            return load(content)
        except (SafetensorError, ValueError, KeyError) as error:  # KeyError: numbers of a type that numpy lacks.
            raise StoreError(f"{place} holds no arrays") from error

    @_changes_the_store
    def write(
        self, kind: str, key: str, record: dict[str, Any], artefacts: dict[str, Callable[[Path], None]] | None = None
    ) -> None:
        """Write the artefacts (name -> a function that writes a file at a path), then the record that names them.

        An earlier record of the key goes first: at no moment does a record stand beside artefacts of another.
        """
        place = self.place(kind, key)
        if place.is_symlink() or (place / RECORD).exists():
            self.remove(kind, key)
        files.make_folder(place)
        sums = {}
        for name, writer in (artefacts or {}).items():
            files.write_whole(place / name, writer)
            sums[name] = {"sha256": files.sum_of(place / name), "bytes": (place / name).stat().st_size}
        body = {**record, "key": key, "artefacts": sums}
        body["sha256"] = own_sum(body)
        text = json.dumps(body, indent=1, sort_keys=True, allow_nan=False) + "\n"
        files.write_bytes_whole(place / RECORD, text.encode())

    def write_arrays(self, kind: str, key: str, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a record with the arrays of an outcome."""
        from safetensors.numpy import save_file

        # safetensors silently corrupts arrays that are not contiguous.
        ready = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self.write(kind, key, record, {ARRAYS: lambda path: save_file(ready, path)})

    def contents(self, kind: str, key: str) -> dict[str, bytes] | None:
        """The files of a verified record, by name: what `adopt` takes. None if there is none."""
        record = self.record(kind, key)
        if record is None:
            return None
        place = self.place(kind, key)
        return {name: files.read_plain(place / name) for name in (RECORD, *record["artefacts"])}

    @_changes_the_store
    def adopt(self, kind: str, key: str, contents: Mapping[str, bytes]) -> None:
        """Take a record from another store, all its files; raises `StoreError` if it cannot be trusted."""
        with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=self.path) as folder:
            whole = Path(folder) / key
            whole.mkdir()
            for name, content in contents.items():
                files.write_bytes_whole(whole / Path(name).name, content)
            verified(whole)
            self.remove(kind, key)
            files.make_folder(self.path / kind)
            os.replace(whole, self.place(kind, key))
            files.sync_folder(self.path / kind)

    @_changes_the_store
    def remove(self, kind: str, key: str) -> None:
        """Remove a record with its artefacts, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            files.discard(self.place(kind, key))

    @_changes_the_store
    def write_manifest(self, manifest: dict[str, Any], name: str | None = None) -> Path:
        """Write what a run asked for and found, under a new name or over the manifest of this name; returns the
        file."""
        folder = self.path / "runs"
        files.make_folder(folder)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        final = folder / (name or f"{stamp}-{uuid.uuid4().hex[:6]}.json")
        files.write_bytes_whole(final, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
        return final

    def find(self, prefix: str) -> list[tuple[str, str]]:
        """The (kind, key) of every record whose key begins with the prefix."""
        return [(kind, key) for kind in (FITS, CELLS) for key in self.keys(kind) if key.startswith(prefix)]

    def keys(self, kind: str) -> Iterator[str]:
        """The keys of all records of a kind, sorted."""
        folder = self.path / kind
        if folder.is_dir():
            names = sorted(entry.name for entry in folder.iterdir() if (entry / RECORD).is_file())
            yield from filter(KEY.fullmatch, names)

    @_changes_the_store
    def _not_believed(self, kind: str, key: str, reason: str) -> None:
        self.distrusted.add((kind, key))
        reason = one_line(reason)  # It may name a file as the record does, and that may be a stranger's.
        if self.lock is None:
            # Its holder may be writing at this moment, and a reader changes nothing.
            self.damaged.append(f"{kind}/{key}: {reason}; ignored")
            return
        folder = self.path / "quarantine"
        files.make_folder(folder)
        target = folder / f"{kind}-{key[:80]}-{uuid.uuid4().hex[:6]}"
        os.replace(self.place(kind, key), target)
        self.damaged.append(f"{kind}/{key}: {reason}; moved to {target}")


def verified(place: Path) -> dict[str, Any]:
    """The record in a directory, its own checksum and those of its artefacts verified.

    Raises `FileNotFoundError` if there is no record, `StoreError` if it cannot be trusted, and another `OSError` if
    nobody can say, since it cannot be read.
    """
    if place.is_symlink():
        raise StoreError("it is a link, and links are not followed")
    try:
        text = files.read_plain(place / RECORD, LARGEST_RECORD)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _judged(error, RECORD) from error
    try:
        record: dict[str, Any] = json.loads(text)
        if record["sha256"] != own_sum(record):
            raise StoreError("the record does not have its own checksum")
        if record["key"] != place.name:
            raise StoreError("the record is that of another key")
        _check_fields(record)
        for name, expected in record["artefacts"].items():
            _check_artefact(place, name, expected)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError("it is no record of bnnbench, or half of one") from error
    return {**_DEFAULTS, **record}


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def own_sum(record: Mapping[str, Any]) -> str:
    """The checksum of a record, its own field apart."""
    body = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _check_fields(record: Mapping[str, Any]) -> None:
    """Whoever can write a file can give it a checksum: what every reader takes for granted must be there."""
    for name, default in _DEFAULTS.items():
        kind = (int, float) if isinstance(default, float) else type(default)
        value = record.get(name, default)
        if not isinstance(value, kind) or (isinstance(default, float) and not 0 <= value <= LONGEST):
            raise StoreError(f"its {name} is not what it must be")
    if record["status"] not in STATUSES:
        raise StoreError("its status is none that there is")


def _check_artefact(place: Path, name: str, expected: Mapping[str, Any]) -> None:
    if Path(name).name != name:
        raise StoreError("the record names a file elsewhere")
    try:
        if (place / name).stat(follow_symlinks=False).st_size != expected["bytes"]:
            raise StoreError(f"{name} does not have its size")
        if files.sum_of(place / name) != expected["sha256"]:
            raise StoreError(f"{name} does not have its checksum")
    except OSError as error:
        raise _judged(error, name) from error


def _judged(error: OSError, name: str) -> Exception:
    """What it means that a file of a record cannot be read: damage, or nothing at all."""
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{name} is missing")
    return StoreError(f"{name} cannot be read: {_words(error)}") if error.errno in _DAMAGE else error
