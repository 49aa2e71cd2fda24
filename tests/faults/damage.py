"""Bits that flip and files that are cut short, in every kind of file of a store."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.matrix import formats, manifest, store
from bnnbench.matrix.results import Results
from bnnbench.matrix.store import ARRAYS, CELLS, DRAWS, FITS, RECORD, Store

KINDS = {
    "record of a fit": (FITS, RECORD),
    "draws of a fit": (FITS, DRAWS),
    "record of a cell": (CELLS, RECORD),
    "arrays of a cell": (CELLS, ARRAYS),
}


@dataclass
class Damage:
    """How many files were damaged, by kind, and what was used all the same."""

    tried: Counter[str] = field(default_factory=Counter)
    used: list[str] = field(default_factory=list)


def campaign(results: Results, folder: Path, count: int, seed: int = 0) -> Damage:
    """Damage a copy of a finished store so many times, one file at a time, and look whether anybody believes it."""
    chance, found = random.Random(seed), Damage()
    store.SECOND_LOOK = 0.0  # Nobody writes here meanwhile.
    path = folder / "damaged"
    shutil.copytree(results.store.path, path)
    files = {name: sorted((path / kind).glob(f"*/{file}")) for name, (kind, file) in KINDS.items()}
    for number in range(count):
        name = list(KINDS)[number % len(KINDS)]
        file = chance.choice(files[name])
        kind, key = KINDS[name][0], file.parent.name
        whole, meant = file.read_bytes(), Store(path).record(kind, key)
        damaged = _damaged(whole, chance)
        file.write_bytes(damaged)
        found.tried[name] += 1
        believed = Store(path).record(kind, key)
        # A record may still say the same: 1E-05 is 1e-05.
        if believed is not None and (file.name != RECORD or believed != meant):
            found.used.append(f"{name}: {key}: {damaged[:1000]!r}")
        file.write_bytes(whole)
    _formats(path, count // 20, chance, found)
    _reports(results, path, files, min(count // 20, 50), chance, found)
    return found


def _damaged(whole: bytes, chance: random.Random) -> bytes:
    """One bit flipped, or, one time in five, an end cut off or appended."""
    way = chance.random()
    if way < 0.1:
        return whole[: chance.randrange(len(whole))]
    if way < 0.2:
        return whole + chance.randbytes(chance.randint(1, 100))
    flipped = bytearray(whole)
    flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _formats(path: Path, count: int, chance: random.Random, found: Damage) -> None:
    """The marker of the format, and a manifest: a damaged one is refused, or still says the same."""
    files: dict[str, tuple[Path, Callable[[Path], Any]]] = {
        "marker": (path / formats.MARKER, lambda file: formats.found(file.parent)),
        "manifest": (next((path / "runs").iterdir()), manifest.read),
    }
    for name, (file, read) in files.items():
        whole, meant = file.read_bytes(), read(file)
        for _ in range(count):
            damaged = _damaged(whole, chance)
            file.write_bytes(damaged)
            found.tried[name] += 1
            try:
                if read(file) != meant:
                    found.used.append(f"{name}: {damaged[:100]!r}")
            except StoreError:
                continue
        file.write_bytes(whole)


def _reports(
    results: Results, path: Path, files: dict[str, list[Path]], count: int, chance: random.Random, found: Damage
) -> None:
    """Whole reports on a damaged store: every row is as it was, or has no number at all."""
    expected = results.rows()
    for _ in range(count):
        name = chance.choice([name for name in KINDS if name != "draws of a fit"])
        file = chance.choice(files[name])
        whole = file.read_bytes()
        file.write_bytes(_damaged(whole, chance))
        found.tried["report"] += 1
        rows = Results(results.plan, Store(path)).rows()
        for before, now in zip(expected, rows, strict=True):
            if now != before and now["robust_accuracy"] is not None:
                found.used.append(f"report: {name} {file.parent.name}")
        file.write_bytes(whole)
