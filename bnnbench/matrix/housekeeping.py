"""Look after a store: what it holds, whether all of it can be believed, and what nobody needs any more."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError, clean, one_line
from bnnbench.matrix import files, formats
from bnnbench.matrix.results import FINAL
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
    unfinished: list[str] = field(default_factory=list)
    """Places without a record: it is being written, or its writing was cut short."""
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
            found.statuses[kind, str(store.verified(place)["status"])] += 1
        except FileNotFoundError:
            found.unfinished.append(f"{kind}/{place.name}")
        except StoreError as error:
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
    """What a held store can lose: unfinished files, places without a record, quarantine, chains of finished fits and,
    if `keep` is given, every record whose key is not in it (a chain's key begins with its fit's)."""
    doomed = [*_leftovers(store.path), *_entries(store.path / "quarantine")]
    for kind, place in _places(store):
        wanted = keep is None or place.name.partition("-")[0] in keep
        if not wanted or not (place / RECORD).exists() or (kind == CHAINS and _is_used_up(store, place.name)):
            doomed.append(place)
        else:
            doomed += _beside_the_record(place)
    return doomed


def named(store: Store, place: Path) -> str:
    """What a place in a store is called in front of people: a record by the beginning of its key, what it is of and how
    long that took (`fits/0a1b2c3d: Sgd, HalfMoons, seed 1, 7.8 s`), everything else by its path."""
    path = clean(str(place.relative_to(store.path)))
    record = None if place.is_symlink() or not place.is_dir() else _believed(place)
    if record is None:
        return path
    components = [record["identity"].get(part) for part in ("attack", "posterior", "dataset")]
    told = [str(one.get("component")).rpartition(":")[2] for one in components if isinstance(one, dict)]
    told += [f"seed {record.get('seed')}", f"{record['seconds']:.1f} s"]
    key, dash, chain = place.name.partition("-")
    return f"{place.parent.name}/{key[:8]}{dash}{chain}: {one_line(', '.join(told))}"


def _is_used_up(store: Store, chain: str) -> bool:
    fit = _believed(store.place(FITS, chain.partition("-")[0]))
    return fit is not None and fit["status"] in FINAL


def _believed(place: Path) -> dict[str, Any] | None:
    """A record that can be trusted. What is damaged is not gone yet: `store verify` moves it, and says so."""
    try:
        return verified(place)
    except (FileNotFoundError, StoreError):
        return None


def _beside_the_record(place: Path) -> list[Path]:
    """Files that its record does not name: those of a writing that was cut short."""
    record = _believed(place)
    return [entry for entry in _entries(place) if record and entry.name not in (RECORD, *record["artefacts"])]


def size_of(place: Path) -> int:
    """Bytes of a file, or of the files in a directory; links count as themselves."""
    folders, size = [place], 0
    while folders:  # However deep they are nested.
        folder = folders.pop()
        with contextlib.suppress(FileNotFoundError):  # A run may be at work here.
            if folder.is_symlink() or not folder.is_dir():
                size += folder.lstat().st_size
            else:
                folders += folder.iterdir()
    return size


def _places(store: Store) -> Iterator[tuple[str, Path]]:
    """Where records are, or should be: whatever has the name of a key."""
    for kind in KINDS:
        for entry in _entries(store.path / kind):
            if KEY.fullmatch(entry.name):
                yield kind, entry


def _is_own(entry: Path) -> bool:
    return bool(KEY.fullmatch(entry.name)) or entry.name.startswith(files.TEMPORARY)


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    return []


def _leftovers(path: Path) -> list[Path]:
    places = [path, *(path / name for name in formats.FOLDERS)]
    return [entry for place in places for entry in _entries(place) if entry.name.startswith(files.TEMPORARY)]
