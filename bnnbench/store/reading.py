"""Read a store: records, draws and arrays, each verified as it is read. Nothing is ever unpickled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import read_draws
from bnnbench.errors import DamagedArtefact, StoreError, one_line
from bnnbench.store import checks, store_format
from bnnbench.store.layout import ARRAYS, CELLS, DRAWS, FITS, KEY, RECORD

Value = TypeVar("Value")
SECOND_LOOK = 0.1
"""Seconds after which a reader looks again at a record that seems damaged: it may have been replaced meanwhile."""


class StoreReader:
    """A store's directory, to be read. A damaged record counts as absent; nothing on disk is changed.

    Raises `StoreError` if the directory is something else, or a store of a later format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged: list[str] = []
        """A line for each damaged record: its kind and key, the reason, and what was done with it."""
        self.distrusted: set[tuple[str, str]] = set()
        """The (kind, key) of each damaged record."""
        self.lock: int | None = None
        """The descriptor of the store's lock while this object holds it. A process that inherits it holds it too."""
        store_format.format_of(self.path)

    def place(self, kind: str, key: str) -> Path:
        """The directory of a record."""
        return self.path / kind / key

    def record(self, kind: str, key: str) -> dict[str, Any] | None:
        """The record of a key, checked; None if there is none, or if it is damaged.

        Its own checksum is verified, and the presence and size of its artefacts. The bytes of an artefact are verified
        when they are loaded (`arrays`, `draws`), and by `verified_record`. Raises `StoreError` for a record that cannot
        be read, since nothing is known of its content.
        """
        return self._read(kind, key, checks.checked)

    def verified_record(self, kind: str, key: str) -> dict[str, Any] | None:
        """The record of a key as `record` gives it, with the checksums of all its artefacts verified too."""
        return self._read(kind, key, checks.verified)

    def contents(self, kind: str, key: str) -> dict[str, bytes] | None:
        """The files of a record by name, all verified: what `adopt` takes. None as for `record`."""
        return self._read(kind, key, checks.verified_files)

    def draws(self, kind: str, key: str, record: Mapping[str, Any]) -> Draws:
        """The draws of the record of a fit or a chain, verified before they are loaded.

        Raises `DamagedArtefact` if their file is damaged or gone, or if another process has replaced the record since
        it was read, and `StoreError` if the record names no such file or the file holds no draws.
        """
        self._artefact(kind, key, record, DRAWS, checks.verify)
        return read_draws(self.place(kind, key) / DRAWS)[0]

    def arrays(self, kind: str, key: str, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of a record by name, verified as they are read.

        Raises `DamagedArtefact` and `StoreError` as `draws` does.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        content = self._artefact(kind, key, record, ARRAYS, checks.verified_bytes)
        try:
            return load(content)
        except (SafetensorError, ValueError, KeyError) as error:  # KeyError: numbers of a type that numpy lacks.
            raise StoreError(f"{kind}/{key}: {ARRAYS} holds no arrays") from error

    def artefact(self, kind: str, key: str, record: Mapping[str, Any], name: str) -> bytes:
        """The content of an artefact of a record, verified; raises errors as `draws` does."""
        return self._artefact(kind, key, record, name, checks.verified_bytes)

    def find(self, prefix: str) -> list[tuple[str, str]]:
        """The (kind, key) of every fit and cell whose key begins with the prefix."""
        return [(kind, key) for kind in (FITS, CELLS) for key in self.keys(kind) if key.startswith(prefix)]

    def keys(self, kind: str) -> Iterator[str]:
        """The keys of all records of a kind, sorted."""
        folder = self.path / kind
        if folder.is_dir():
            names = sorted(entry.name for entry in folder.iterdir() if (entry / RECORD).is_file())
            yield from filter(KEY.fullmatch, names)

    def retried(self, check: Callable[[Path], Value], place: Path) -> Value:
        """What a check returns for the directory of a record, tried again after a moment if the store is not held.

        Another process may replace a record between the check of the record and that of its artefacts.
        """
        try:
            return check(place)
        except StoreError:
            if self.lock is not None:
                raise
            time.sleep(SECOND_LOOK)
            return check(place)

    def _read(self, kind: str, key: str, check: Callable[[Path], Value]) -> Value | None:
        place = self.place(kind, key)
        try:
            return self.retried(check, place)
        except FileNotFoundError:
            return None
        except StoreError as error:
            self._distrust(kind, key, str(error))
            return None
        except OSError as error:
            raise StoreError(f"{place} cannot be read: {checks.reason_of(error)}") from error

    def _artefact(
        self,
        kind: str,
        key: str,
        record: Mapping[str, Any],
        name: str,
        check: Callable[[Path, Mapping[str, Any]], Value],
    ) -> Value:
        """What a check returns for an artefact of a record."""
        path = self.place(kind, key) / name
        expected = record["artefacts"].get(name)
        if expected is None:
            raise StoreError(f"{kind}/{key}: its record names no {name}")
        try:
            return check(path, expected)
        except StoreError as error:
            if self._is_replaced(kind, key, record):
                raise DamagedArtefact(f"{kind}/{key} was removed or replaced while it was read") from error
            self._distrust(kind, key, str(error))
            raise DamagedArtefact(f"{kind}/{key}: {error}") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {checks.reason_of(error)}") from error
        except MemoryError as error:
            raise StoreError(f"{path} does not fit into memory") from error

    def _is_replaced(self, kind: str, key: str, record: Mapping[str, Any]) -> bool:
        """Whether another process has removed or replaced a record since it was read; False if the store is held here.

        A record is removed before its artefacts change, so it need not be waited for.
        """
        if self.lock is not None:
            return False
        try:
            return checks.checked(self.place(kind, key))["sha256"] != record.get("sha256")
        except FileNotFoundError:
            return True
        except (StoreError, OSError):
            return False

    def _distrust(self, kind: str, key: str, reason: str) -> None:
        """Note that a record is damaged. Another process may be writing it at this moment, so it stays where it is."""
        # A record from elsewhere chooses the file names in the reason, so control characters are replaced.
        self._note(kind, key, f"{one_line(reason)}; ignored")

    def _note(self, kind: str, key: str, text: str) -> None:
        self.distrusted.add((kind, key))
        line = f"{kind}/{key}: {text}"
        if line not in self.damaged:  # A record may be read several times.
            self.damaged.append(line)
