"""Kill whole runs at random moments, and resume each until it is finished."""

from __future__ import annotations

import random
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from faults import runs


@dataclass
class Campaign:
    """The results of a campaign: numbers of kills and of finished runs, and what was found after them."""

    kills: int = 0
    finished: int = 0
    kept: int = 0
    """Acknowledged outcomes that were looked at again after a kill."""
    recomputed: int = 0
    """Acknowledged outcomes that were computed again."""
    orphans: int = 0
    """Kills that left a process of the run alive."""
    different: int = 0
    """Finished runs whose report has other bytes than that of an undisturbed run."""


def campaign(folder: Path, kills: int, seeds: int = 2, seed: int = 0) -> Campaign:
    """Kill runs `kills` times in all, and then let the last run finish.

    Every other kill takes the runner's whole process group, the rest the runner alone. The matrix has `seeds` seeds.
    """
    undisturbed, generator, found = runs.Undisturbed(folder, seeds), random.Random(seed), Campaign()
    while found.kills < kills:
        store, ended = f"killed-{found.finished}", False
        while not ended:
            moment = generator.uniform(0.3, 0.8 * undisturbed.seconds) if found.kills < kills else None
            ended = _cut_short(folder, store, moment, found)
        found.finished += 1
        found.different += runs.report(folder, store) != undisturbed.report
    return found


def _cut_short(folder: Path, store: str, moment: float | None, found: Campaign) -> bool:
    """Start or resume a run, and kill it after `moment` seconds unless it ends before. Whether it has ended."""
    before = runs.kept(folder / store)
    process = runs.started(folder, store)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        descendants = runs.descendants(process)
        runs.send(process, signal.SIGKILL, group=found.kills % 2 == 1)
        process.wait()
        found.kills += 1
        found.orphans += runs.leaves_orphans(folder, descendants)
    else:
        assert process.returncode == 0
    after = runs.kept(folder / store)
    found.kept += len(before)
    found.recomputed += sum(after.get(path) != stamp for path, stamp in before.items())
    return process.returncode == 0
