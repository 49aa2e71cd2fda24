"""Look after a store: what it holds, whether all of it can be believed, and what nobody needs any more."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bnnbench.errors import StoreError, one_line
from bnnbench.matrix import files, formats
from bnnbench.matrix.store import CELLS, CHAINS, FITS, KEY, RECORD, Store, verified

KINDS = (FITS, CHAINS, CELLS)


@dataclass
class Contents:
    """What a store holds: records and bytes by kind, and records by status."""

    records: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    """Places that cannot be believed, with the reason."""
    foreign: list[str] = field(default_factory=list)
    """What lies among the records and is not bnnbench's: nobody reads it, and nobody removes it."""


def contents(store: Store) -> Contents:
    """Read and verify every record with its artefacts; nothing is changed."""
    found = Contents()
    for kind in KINDS:
        found.foreign += [f"{kind}/{entry.name}" for entry in _entries(store.path / kind) if not _is_own(entry)]
    for kind, place in _places(store):
        found.records[kind] += 1
        found.size[kind] += size_of(place)
        try:
            found.statuses[kind, str(verified(place)["status"])] += 1
        except FileNotFoundError:
            found.damaged.append(f"{kind}/{place.name}: no record: its writing was cut short")
        except (StoreError, KeyError) as error:
            found.damaged.append(f"{kind}/{place.name}: {one_line(str(error))}")
    for name in ("runs", "quarantine"):
        entries = _entries(store.path / name)
        found.records[name] = len(entries)
        found.size[name] = sum(size_of(entry) for entry in entries)
    return found


def quarantine_damaged(store: Store) -> list[str]:
    """Move what cannot be believed to quarantine; the store is held. Returns what was moved, with the reasons."""
    for kind, place in _places(store):
        store.record(kind, place.name)
    return store.damaged


def garbage(store: Store, keep: Collection[str] | None = None) -> list[Path]:
    """What a held store can lose: unfinished files, records without their end, quarantine, chains of fits that are
    finished and, if `keep` is given, every record whose key is not in it (a chain's key begins with its fit's)."""
    doomed = [*_leftovers(store.path), *_entries(store.path / "quarantine")]
    for kind, place in _places(store):
        if kind == CHAINS:
            fit = place.name.rpartition("-")[0]
            unwanted = (store.place(FITS, fit) / RECORD).exists() or (keep is not None and fit not in keep)
        else:
            unwanted = keep is not None and place.name not in keep
        if unwanted or not (place / RECORD).exists():
            doomed.append(place)
        else:
            doomed += _leftovers(place)
    return doomed


def discard(doomed: Path) -> None:
    """Remove a file or directory; a link is removed, not what it leads to."""
    if doomed.is_dir() and not doomed.is_symlink():
        hidden = files.temporary_beside(doomed)
        os.replace(doomed, hidden)  # A record leaves its place whole.
        shutil.rmtree(hidden)
    else:
        doomed.unlink(missing_ok=True)


def size_of(place: Path) -> int:
    """Bytes of a file, or of the files in a directory; links count as themselves."""
    if place.is_symlink() or not place.is_dir():
        return place.lstat().st_size
    return sum(size_of(entry) for entry in place.iterdir())


def _places(store: Store) -> Iterator[tuple[str, Path]]:
    """Where records are, or should be: whatever has the name of a key."""
    for kind in KINDS:
        for entry in _entries(store.path / kind):
            if KEY.fullmatch(entry.name):
                yield kind, entry


def _is_own(entry: Path) -> bool:
    return bool(KEY.fullmatch(entry.name)) or entry.name.startswith(files.TEMPORARY)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _leftovers(folder: Path) -> list[Path]:
    own = [folder, *(folder / name for name in formats.FOLDERS)] if (folder / formats.MARKER).exists() else [folder]
    return [entry for place in own for entry in _entries(place) if entry.name.startswith(files.TEMPORARY)]
