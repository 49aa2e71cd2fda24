"""Whole runs that are killed at random moments, again and again, until they are finished."""

from __future__ import annotations

import random
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from faults import runs


@dataclass
class Campaign:
    """What kills have shown."""

    kills: int = 0
    finished: int = 0
    kept: int = 0
    """Acknowledged outcomes that were looked at again after a kill."""
    recomputed: int = 0
    orphans: int = 0
    different: int = 0
    """Finished runs whose report has other bytes than that of a run which nobody disturbed."""


def campaign(folder: Path, kills: int, seeds: int = 2, seed: int = 0) -> Campaign:
    """Kill runs until there have been so many kills, and then let the last one finish.

    Every other kill takes the runner's whole group, the rest the runner alone. The matrix has so many seeds.
    """
    calm, chance, found = runs.Calm(folder, seeds), random.Random(seed), Campaign()
    while found.kills < kills:
        store, ended = f"killed-{found.finished}", False
        while not ended:
            moment = chance.uniform(0.3, 0.8 * calm.seconds) if found.kills < kills else None
            ended = _cut_short(folder, store, moment, found)
        found.finished += 1
        found.different += runs.report(folder, store) != calm.report
    return found


def _cut_short(folder: Path, store: str, moment: float | None, found: Campaign) -> bool:
    """Start or resume a run and kill it after so many seconds, unless it ends before; whether it has ended."""
    before = runs.kept(folder / store)
    process = runs.started(folder, store)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        family = runs.family(process)
        runs.send(process, signal.SIGKILL, group=found.kills % 2 == 1)
        process.wait()
        found.kills += 1
        found.orphans += runs.leaves_orphans(folder, family)
    else:
        assert process.returncode == 0
    after = runs.kept(folder / store)
    found.kept += len(before)
    found.recomputed += sum(after.get(path) != stamp for path, stamp in before.items())
    return process.returncode == 0
