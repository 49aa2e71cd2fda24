"""A short sequence of changes to a store, into which faults are injected.

python workload.py STORE LOG        appends a line to LOG when a step is acknowledged
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS, Store

FIT, CELL, OTHER = "f" * 64, "c" * 64, "d" * 64
CHAIN = f"{FIT}-0"
Step = tuple[str, str, str, int | None]
"""(name, kind, key, version): the version of the record that is written, or None if it is removed."""
STEPS: list[Step] = [
    ("chain", CHAINS, CHAIN, 1),
    ("fit", FITS, FIT, 1),
    ("chain removed", CHAINS, CHAIN, None),
    ("cell", CELLS, CELL, 1),
    ("other cell", CELLS, OTHER, 1),
    ("cell again", CELLS, CELL, 2),
]


def live(path: Path, tell: Callable[[Step], None]) -> None:
    """Take every step whose effect is not in the store yet, and call `tell` with each step when it is done."""
    store = Store(path)
    with store.held():
        for step in STEPS:
            _, kind, key, version = step
            if version is None:
                store.remove(kind, key)
            elif _version(store, kind, key) < version:
                _write(store, kind, key, version)
            tell(step)
        store.write_manifest({"ended": True})


def wrong(path: Path, acknowledged: list[str]) -> list[str]:
    """A line for each thing that is wrong in a store after a fault, given the names of the acknowledged steps."""
    store, problems = Store(path), []
    for number, (_, kind, key, version) in enumerate(STEPS):
        if number >= len(acknowledged):
            break
        later = [step for step in STEPS[number + 1 : len(acknowledged) + 1] if step[1:3] == (kind, key)]
        found = _version(store, kind, key)
        if version is None and found:
            problems.append(f"{kind} was removed and is there again")
        elif version is not None and not later and found != version:
            problems.append(f"{kind} {key[:1]} was acknowledged in version {version} and has {found}")
        elif version is not None and later and found not in {version, 0, *(step[3] or 0 for step in later)}:
            problems.append(f"{kind} {key[:1]} has a version that was never written: {found}")
    for _, kind, key, _ in STEPS:
        store.verified_record(kind, key)  # Torn records are found whether they were acknowledged or not.
    return problems + [f"damaged: {line}" for line in store.damaged]


def _write(store: Store, kind: str, key: str, version: int) -> None:
    record = {"status": "ok", "reason": "", "version": version}
    if kind == CELLS:
        store.write_arrays(kind, key, record, {"x": np.full(1000, version)})
    else:
        store.write(kind, key, record, {DRAWS: lambda file: file.write_bytes(bytes([version]) * 5000) and None})


def _version(store: Store, kind: str, key: str) -> int:
    """The version of a record, its artefacts verified; 0 if there is none, -1 if its arrays are of another version."""
    record = store.verified_record(kind, key)
    if record is None:
        return 0
    if kind == CELLS and not (store.arrays(kind, key, record)["x"] == record["version"]).all():
        return -1
    return int(record["version"])


def main() -> None:
    with open(sys.argv[2], "ab", buffering=0) as file:
        live(Path(sys.argv[1]), lambda step: file.write(f"{step[0]}\n".encode()) and None)
    os._exit(0)


if __name__ == "__main__":
    main()
