"""Flip bits and cut ends in every kind of file of a store: none of them may be believed."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.evidence.results import Results
from bnnbench.running import manifest
from bnnbench.store import reading, store_format
from bnnbench.store.housekeeping import contents
from bnnbench.store.store import ARRAYS, CELLS, DRAWS, FITS, RECORD, Store

KINDS = {
    "record of a fit": (FITS, RECORD),
    "draws of a fit": (FITS, DRAWS),
    "record of a cell": (CELLS, RECORD),
    "arrays of a cell": (CELLS, ARRAYS),
}


@dataclass
class Damage:
    """The number of damaged files by kind, and a line for each that was believed."""

    tried: Counter[str] = field(default_factory=Counter)
    believed: list[str] = field(default_factory=list)


def campaign(results: Results, folder: Path, count: int, seed: int = 0) -> Damage:
    """Damage one file of a copy of a finished store, `count` times, and see whether it is believed."""
    damage = flipped_bits(results, folder, count, seed)
    generator, path = random.Random(seed + 1), folder / "damaged"
    _formats(path, count // 20, generator, damage)
    _reports(results, path, min(count // 20, 50), generator, damage)
    _runs(results, folder, max(2, count // 40), generator, damage)
    return damage


def flipped_bits(results: Results, folder: Path, count: int, seed: int = 0) -> Damage:
    """The part of `campaign` that damages records and artefacts; the copy of the store is left in `folder`."""
    generator, damage = random.Random(seed), Damage()
    reading.SECOND_LOOK = 0.0  # No other process writes to the store.
    path = folder / "damaged"
    shutil.copytree(results.store.path, path)
    files = _files(path)
    for number in range(count):
        name = list(KINDS)[number % len(KINDS)]
        file = generator.choice(files[name])
        kind, key = KINDS[name][0], file.parent.name
        whole, record = file.read_bytes(), Store(path).record(kind, key)
        damaged = _damaged(whole, generator)
        file.write_bytes(damaged)
        damage.tried[name] += 1
        if _is_believed(Store(path), kind, key, file.name, record):
            damage.believed.append(f"{name}: {key}: {damaged[:1000]!r}")
        file.write_bytes(whole)
    return damage


def _files(path: Path) -> dict[str, list[Path]]:
    """The files of each kind in a store."""
    return {name: sorted((path / kind).glob(f"*/{file}")) for name, (kind, file) in KINDS.items()}


def _is_believed(store: Store, kind: str, key: str, name: str, record: dict[str, Any] | None) -> bool:
    """Whether a damaged file is read as good: by a reader of its record, of its artefact, or by `store verify`.

    A damaged record may still say the same, as 1E-05 is 1e-05.
    """
    found = store.record(kind, key)
    if name == RECORD:
        return found is not None and found != record
    if not any(line.startswith(f"{kind}/{key}: ") for line in contents(store).damaged):
        return True
    if found is None:
        return False
    try:
        (store.draws if name == DRAWS else store.arrays)(kind, key, found)
    except StoreError:
        return False
    return True


def _damaged(whole: bytes, generator: random.Random) -> bytes:
    """One bit flipped, or, one time in five, an end cut off or appended."""
    way = generator.random()
    if way < 0.1:
        return whole[: generator.randrange(len(whole))]
    if way < 0.2:
        return whole + generator.randbytes(generator.randint(1, 100))
    flipped = bytearray(whole)
    flipped[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
    return bytes(flipped)


def _formats(path: Path, count: int, generator: random.Random, damage: Damage) -> None:
    """The marker of the format, and a manifest: a damaged one is refused, or still says the same."""
    readers: dict[str, tuple[Path, Callable[[Path], Any]]] = {
        "marker": (path / store_format.MARKER, lambda file: store_format.format_of(file.parent)),
        "manifest": (next((path / "runs").iterdir()), manifest.read),
    }
    for name, (file, read) in readers.items():
        whole, content = file.read_bytes(), read(file)
        for _ in range(count):
            damaged = _damaged(whole, generator)
            file.write_bytes(damaged)
            damage.tried[name] += 1
            try:
                if read(file) != content:
                    damage.believed.append(f"{name}: {damaged[:100]!r}")
            except StoreError:
                continue
        file.write_bytes(whole)


def _reports(results: Results, path: Path, count: int, generator: random.Random, damage: Damage) -> None:
    """Whole reports on a damaged store: every row is as it was, or has no number."""
    expected, files = _own(results), _files(path)
    for _ in range(count):
        name = generator.choice(list(KINDS))
        file = generator.choice(files[name])
        whole = file.read_bytes()
        file.write_bytes(_damaged(whole, generator))
        damage.tried["report"] += 1
        rows = _own(Results(results.plan, Store(path)))
        for before, now in zip(expected, rows, strict=True):
            if now != before and now["robust_accuracy"] is not None:
                damage.believed.append(f"report: {name} {file.parent.name}")
        file.write_bytes(whole)


def _own(results: Results) -> list[dict[str, Any]]:
    """The rows without the worst case, which depends on the other attacks of the fit."""
    return [{name: row[name] for name in row if not name.startswith("worst_")} for row in results.rows()]


def _runs(results: Results, folder: Path, count: int, generator: random.Random, damage: Damage) -> None:
    """Runs with damaged draws and one outcome to compute: the fit is computed again, and the report is as it was."""
    expected = results.rows()
    for number in range(count):
        path = folder / f"run-{number}"
        shutil.copytree(results.store.path, path)
        cell = generator.choice(results.plan.cells)
        shutil.rmtree(path / CELLS / cell.key)
        file = path / FITS / cell.fit.key / DRAWS
        whole = file.read_bytes()
        file.write_bytes(_damaged(whole, generator))
        damage.tried["draws before a run"] += 1
        again = bb.run(results.plan.config.path, store=path, jobs=0)
        quarantined = [place.name for place in (path / "quarantine").glob("*")]
        if again.rows() != expected or file.read_bytes() != whole or not quarantined:
            damage.believed.append(f"draws before a run: {cell.name}: {quarantined}")
        shutil.rmtree(path)
