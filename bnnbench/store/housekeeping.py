"""Look after a store: count its records, verify them, and find what can be removed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError, clean, one_line
from bnnbench.plugins.kinds import CELL_KINDS
from bnnbench.store import files
from bnnbench.store.checks import checked, verified
from bnnbench.store.layout import CHAINS, FITS, FOLDERS, KEY, KINDS, QUARANTINE, RECORD, RUNS
from bnnbench.store.records import FINAL
from bnnbench.store.store import Store

_MEASURED = tuple(kind.name for kind in CELL_KINDS)
"""The field of a cell's identity that holds the component which was measured."""


@dataclass
class Contents:
    """What a store holds: records and bytes by kind, and verified records by kind and status."""

    records: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    """Damaged records, each with the reason."""
    unfinished: list[str] = field(default_factory=list)
    """Directories without a record: it is being written, or its writing was cut short."""
    foreign: list[str] = field(default_factory=list)
    """Entries among the records that bnnbench has not made: they are neither read nor removed."""


def contents(store: Store, check: Callable[[Path], dict[str, Any]] = verified) -> Contents:
    """What a store holds, with the result of a check of every record; nothing is changed.

    By default artefacts are verified with the records. `checks.checked` reads records alone.
    """
    summary = Contents()
    for kind in KINDS:
        summary.foreign += [f"{kind}/{entry.name}" for entry in _entries(store.path / kind) if _is_foreign(entry)]
    for kind, place in _places(store):
        summary.records[kind] += 1
        summary.size[kind] += size_of(place)
        try:
            summary.statuses[kind, str(store.retried(check, place)["status"])] += 1
        except FileNotFoundError:
            summary.unfinished.append(f"{kind}/{place.name}")
        except StoreError as error:
            summary.damaged.append(f"{kind}/{place.name}: {one_line(str(error))}")
    for name in (RUNS, QUARANTINE):
        entries = _entries(store.path / name)
        summary.records[name] = len(entries)
        summary.size[name] = sum(size_of(entry) for entry in entries)
    return summary


def quarantine_damaged(store: Store) -> list[str]:
    """Verify every record with its artefacts, and move damaged ones to quarantine; the store is held.

    Returns a line for each record that was moved, with the reason.
    """
    for kind, place in _places(store):
        store.verified_record(kind, place.name)
    return store.damaged


def garbage(store: Store, keep: Collection[str] | None = None) -> list[Path]:
    """The files and directories that a held store does not need.

    These are unfinished files, directories without a record, the quarantine, and chains of finished fits. If `keep` is
    given, they include every record whose key is not in it, and every chain of a fit whose key is not in it.
    """
    removable = [*_leftovers(store.path), *_entries(store.path / QUARANTINE)]
    for kind, place in _places(store):
        wanted = keep is None or place.name.partition("-")[0] in keep
        if not wanted or not (place / RECORD).exists() or (kind == CHAINS and _is_joined(store, place.name)):
            removable.append(place)
        else:
            removable += _unnamed_files(place)
    return removable


def named(store: Store, place: Path) -> str:
    """The name of a file or directory of a store in messages.

    A record is named by the beginning of its key, its components, its seed and its time
    (`fits/0a1b2c3d: Sgd, HalfMoons, seed 1, 7.8 s`), everything else by its path.
    """
    path = clean(str(place.relative_to(store.path)))
    record = None if place.is_symlink() or not place.is_dir() else _checked_or_none(place)
    if record is None:
        return path
    identities = [record["identity"].get(part) for part in (*_MEASURED, "posterior", "dataset")]
    parts = [str(one.get("component")).rpartition(":")[2] for one in identities if isinstance(one, dict)]
    parts += [f"seed {record.get('seed')}", f"{record['seconds']:.1f} s"]
    key, dash, chain = place.name.partition("-")
    return f"{place.parent.name}/{key[:8]}{dash}{chain}: {one_line(', '.join(parts))}"


def _is_joined(store: Store, chain: str) -> bool:
    """Whether the fit of a chain is finished, its draws verified: they can be made again from the chain."""
    try:
        return verified(store.place(FITS, chain.partition("-")[0]))["status"] in FINAL
    except (FileNotFoundError, StoreError):
        return False


def _checked_or_none(place: Path) -> dict[str, Any] | None:
    """The record in a directory, checked; None if it is absent or damaged. Only `store verify` moves damaged ones."""
    try:
        return checked(place)
    except (FileNotFoundError, StoreError):
        return None


def _unnamed_files(place: Path) -> list[Path]:
    """Files beside a record that it does not name: those of a writing that was cut short."""
    record = _checked_or_none(place)
    return [entry for entry in _entries(place) if record and entry.name not in (RECORD, *record["artefacts"])]


def size_of(place: Path) -> int:
    """Bytes of a file, or of the files in a directory; links count as themselves."""
    folders, size = [place], 0
    while folders:  # Not by recursion: folders may be nested more deeply than Python's stack.
        folder = folders.pop()
        with contextlib.suppress(FileNotFoundError):  # A run may be removing it.
            if folder.is_symlink() or not folder.is_dir():
                size += folder.lstat().st_size
            else:
                folders += folder.iterdir()
    return size


def _places(store: Store) -> Iterator[tuple[str, Path]]:
    """The kind and the directory of every record, written or unfinished: all entries whose name is a key."""
    for kind in KINDS:
        for entry in _entries(store.path / kind):
            if KEY.fullmatch(entry.name):
                yield kind, entry


def _is_foreign(entry: Path) -> bool:
    return not KEY.fullmatch(entry.name) and not entry.name.startswith(files.TEMPORARY)


def _entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted; none if it is absent or a link."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    return []


def _leftovers(path: Path) -> list[Path]:
    """Unfinished files and folders of a store, outside of the directories of its records."""
    places = [path, *(path / name for name in FOLDERS)]
    return [entry for place in places for entry in _entries(place) if entry.name.startswith(files.TEMPORARY)]
