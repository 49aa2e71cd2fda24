"""Write a store: one writer at a time, and each record whole or not at all.

The matrix is a view; the store is the truth. A record is written once, after the artefacts that it names, and states
its own sha256 and theirs. Damaged records count as absent, and the process that holds the store moves them to
`quarantine`. `layout` shows the folders.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from bnnbench.errors import StoreError, StoreUnwritable, one_line
from bnnbench.store import checks, files, lock, store_format
from bnnbench.store.layout import ARRAYS, CELLS, CHAINS, DRAWS, FITS, KEY, KINDS, QUARANTINE, RECORD, RUNS, STATES
from bnnbench.store.reading import StoreReader
from bnnbench.store.records import own_sum

__all__ = ["ARRAYS", "CELLS", "CHAINS", "DRAWS", "FITS", "KEY", "KINDS", "RECORD", "STATES", "Store"]

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def _changes_the_store(
    method: Callable[Concatenate[Store, Arguments], Value],
) -> Callable[Concatenate[Store, Arguments], Value]:
    """The method, with errors of the disk raised as a `StoreUnwritable` that names the store."""

    @functools.wraps(method)
    def changing(self: Store, *arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
        try:
            return method(self, *arguments, **options)
        except Exception as error:
            from safetensors import SafetensorError

            if not isinstance(error, OSError | SafetensorError):
                raise
            reason = one_line(checks.reason_of(error))
            raise StoreUnwritable(f"{self.path} cannot be written to: {reason}; what it holds is whole") from error

    return changing


class Store(StoreReader):
    """A store's directory. Any process may read it; to write, hold it: `with store.held(): ...`.

    Raises `StoreError` if the directory is something else, or a store of a later format.
    """

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the directory, be its only writer, and bring it to the current format.

        Raises `StoreError` if it cannot be written to, or naming the process that holds it.
        """
        with contextlib.ExitStack() as stack:
            with self._usable():
                files.make_folder(self.path)
                taken = stack.enter_context(lock.locked(self.path))
            try:
                self.lock = taken.descriptor
                with self._usable():
                    store_format.migrate(self.path)
                    for kind in KINDS:
                        files.make_folder(self.path / kind)
                    self._sync_folders(every_record=taken.after_a_crash)
                yield
            finally:
                self.lock = None

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Raise errors of the disk as a `StoreError` that names the store."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used as a store: {checks.reason_of(error)}") from error

    def _sync_folders(self, every_record: bool) -> None:
        """Make folders durable that an earlier writer may have left visible and not durable when it was killed."""
        with contextlib.suppress(PermissionError):  # A process may be able to enter a folder and not to read it.
            files.sync_folder(self.path.absolute().parent)
        files.sync_folder(self.path)
        for kind in KINDS:
            files.sync_folder(self.path / kind)
            for key in self.keys(kind) if every_record else ():
                if not self.place(kind, key).is_symlink():
                    files.sync_folder(self.place(kind, key))

    @_changes_the_store
    def write(
        self, kind: str, key: str, record: dict[str, Any], artefacts: dict[str, Callable[[Path], None]] | None = None
    ) -> None:
        """Write the artefacts (name -> a function that writes a file at a path), then the record that names them.

        An earlier record of the key is removed first: at no moment does a record stand beside artefacts of another.
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
        """Write a record with arrays, by name, of any shapes."""
        from safetensors.numpy import save_file

        # safetensors silently corrupts arrays that are not contiguous; numpy gives those without axes an axis.
        contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
        self.write(kind, key, record, {ARRAYS: lambda path: save_file(contiguous, path)})

    @_changes_the_store
    def adopt(self, kind: str, key: str, contents: Mapping[str, bytes]) -> None:
        """Take a record from another store: its files by name, as `contents` gives them.

        Raises `StoreError` if they do not have their checksums.
        """
        with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=self.path) as folder:
            place = Path(folder) / key
            place.mkdir()
            for name, content in contents.items():
                files.write_bytes_whole(place / Path(name).name, content)
            checks.verified(place)
            self.remove(kind, key)
            files.make_folder(self.path / kind)
            os.replace(place, self.place(kind, key))
            files.sync_folder(self.path / kind)

    @_changes_the_store
    def remove(self, kind: str, key: str) -> None:
        """Remove a record with its artefacts, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            files.discard(self.place(kind, key))

    @_changes_the_store
    def write_manifest(self, manifest: dict[str, Any], name: str | None = None) -> Path:
        """Write the manifest of a run under a new name, or over the manifest of this name; returns its file."""
        folder = self.path / RUNS
        files.make_folder(folder)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        final = folder / (name or f"{stamp}-{uuid.uuid4().hex[:6]}.json")
        files.write_bytes_whole(final, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
        return final

    @_changes_the_store
    def _distrust(self, kind: str, key: str, reason: str) -> None:
        """Note that a record is damaged, and move it to quarantine if the store is held."""
        if self.lock is None:
            return super()._distrust(kind, key, reason)
        folder = self.path / QUARANTINE
        files.make_folder(folder)
        target = folder / f"{kind}-{key[:80]}-{uuid.uuid4().hex[:6]}"
        outcome = f"moved to {target}"
        try:
            os.replace(self.place(kind, key), target)
        except FileNotFoundError:
            outcome = "gone"
        self._note(kind, key, f"{one_line(reason)}; {outcome}")
        return None
