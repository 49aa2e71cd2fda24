"""Outcomes on disk: a content-addressed directory of records with their arrays.

    fits/<key>/record.json, draws.safetensors
    chains/<key>-<chain>/record.json, draws.safetensors      of a fit that is not finished
    cells/<key>/record.json, arrays.safetensors
    runs/<time>.json
    quarantine/

The matrix is a view; the store is the truth. A record is written once, whole, after the artefacts that it names, and
carries its own sha256 and theirs. Every load verifies; what fails is moved to `quarantine` and counts as absent.
Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bnnbench.errors import StoreError

FITS, CHAINS, CELLS = "fits", "chains", "cells"
"""The kinds of records."""
DRAWS = "draws.safetensors"
ARRAYS = "arrays.safetensors"
RECORD = "record.json"


class Store:
    """A store's directory; it is made by `prepare` or with the first record."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.quarantined: list[str] = []

    def prepare(self) -> None:
        """Make the directory, and see that it can be written to; raises `StoreError` if not."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            trial = _temporary(self.path, "trial")
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be used as a store: {(error.strerror or str(error)).lower()}"
            ) from error

    def place(self, kind: str, key: str) -> Path:
        """The directory of a record."""
        return self.path / kind / key

    def record(self, kind: str, key: str) -> dict[str, Any] | None:
        """A verified record, with its artefacts verified too; None if there is none, or none that can be trusted."""
        place = self.place(kind, key)
        try:
            text = (place / RECORD).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{place / RECORD}: {error.strerror}") from error
        try:
            record = _verified(place, text)
        except (StoreError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._quarantine(kind, key, str(error))
            return None
        return record

    def arrays(self, kind: str, key: str) -> dict[str, np.ndarray]:
        """The arrays of a record that `record` has verified."""
        from safetensors.numpy import load_file

        return load_file(self.place(kind, key) / ARRAYS)

    def write(
        self, kind: str, key: str, record: dict[str, Any], artefacts: dict[str, Callable[[Path], None]] | None = None
    ) -> None:
        """Write the artefacts (name -> a function that writes a file at a path), then the record that names them."""
        place = self.place(kind, key)
        place.mkdir(parents=True, exist_ok=True)
        sums = {}
        for name, writer in (artefacts or {}).items():
            temporary = _temporary(place, name)
            writer(temporary)
            sums[name] = {"sha256": _sha256(temporary), "bytes": temporary.stat().st_size}
            _commit(temporary, place / name)
        body = {**record, "key": key, "artefacts": sums}
        body["sha256"] = _own_sum(body)
        temporary = _temporary(place, RECORD)
        temporary.write_text(json.dumps(body, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        _commit(temporary, place / RECORD)

    def write_arrays(self, kind: str, key: str, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a record with the arrays of an outcome."""
        from safetensors.numpy import save_file

        # safetensors silently corrupts arrays that are not contiguous.
        ready = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self.write(kind, key, record, {ARRAYS: lambda path: save_file(ready, path)})

    def remove(self, kind: str, key: str) -> None:
        """Remove a record with its artefacts, if it is there."""
        doomed = _temporary(self.path, f"removed-{key}")
        with contextlib.suppress(FileNotFoundError):
            # The record first leaves its place whole: nobody finds half of it.
            os.replace(self.place(kind, key), doomed)
            shutil.rmtree(doomed)

    def write_manifest(self, manifest: dict[str, Any]) -> Path:
        """Write what a run asked for and found; returns the file."""
        folder = self.path / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        final = folder / f"{stamp}-{uuid.uuid4().hex[:6]}.json"
        temporary = _temporary(folder, final.name)
        temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _commit(temporary, final)
        return final

    def find(self, prefix: str) -> list[tuple[str, str]]:
        """The (kind, key) of every record whose key begins with the prefix."""
        return [(kind, key) for kind in (FITS, CELLS) for key in self.keys(kind) if key.startswith(prefix)]

    def keys(self, kind: str) -> Iterator[str]:
        """The keys of all records of a kind, sorted."""
        folder = self.path / kind
        if folder.is_dir():
            yield from sorted(entry.name for entry in folder.iterdir() if (entry / RECORD).is_file())

    def _quarantine(self, kind: str, key: str, reason: str) -> None:
        folder = self.path / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{kind}-{key}-{uuid.uuid4().hex[:6]}"
        os.replace(self.place(kind, key), target)
        self.quarantined.append(f"{kind}/{key}: {reason}; moved to {target}")


def _verified(place: Path, text: bytes) -> dict[str, Any]:
    record = json.loads(text)
    if record["sha256"] != _own_sum(record):
        raise StoreError("the record does not have its own checksum")
    if record["key"] != place.name:
        raise StoreError(f"the record is that of {record['key']}")
    for name, expected in record["artefacts"].items():
        artefact = place / name
        if not artefact.is_file():
            raise StoreError(f"{name} is missing")
        if artefact.stat().st_size != expected["bytes"] or _sha256(artefact) != expected["sha256"]:
            raise StoreError(f"{name} does not have its checksum")
    return record


def _own_sum(record: dict[str, Any]) -> str:
    body = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(folder: Path, name: str) -> Path:
    return folder / f".{name}.{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _commit(temporary: Path, final: Path) -> None:
    """Make a finished file durable, then visible in one step, then the directory durable."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
