"""Whole runs that are killed at random moments, again and again, until they are finished."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from waiting import is_gone, within

from bnnbench.matrix.store import RECORD
from bnnbench.matrix.workers.guard import MARK

FILE = """\
epsilons: [0.0, 0.05, 0.1]
evaluate: {images: 30, draws: 4}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 50}}
networks: {fc: {hidden: [8]}}
posteriors:
  sgd: {epochs: 5}
  vi: {use: bayes-by-backprop, epochs: 5, draws: 4}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 100}}
"""
ORPHANS = 5.0
"""Seconds after which nothing that a killed run has started may live."""


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
    notes: list[str] = field(default_factory=list)


def campaign(folder: Path, kills: int, seeds: int = 6, seed: int = 0) -> Campaign:
    """Kill runs until there have been so many kills, and then let the last one finish.

    Every other kill takes the runner's whole group, the rest the runner alone. The matrix has so many seeds.
    """
    (folder / "benchmarks.yaml").write_text(f"seeds: {list(range(seeds))}\n{FILE}")
    chance, found = random.Random(seed), Campaign()
    calm = time.monotonic()
    assert _started(folder, "calm").wait() == 0
    longest = time.monotonic() - calm
    expected = _report(folder, "calm")
    while found.kills < kills:
        store = f"store-{found.finished}"
        while not _cut_short(folder, store, chance, longest, found):
            pass
        found.finished += 1
        found.different += _report(folder, store) != expected
    return found


def _cut_short(folder: Path, store: str, chance: random.Random, longest: float, found: Campaign) -> bool:
    """Start or resume a run and kill it, unless it ends before; whether it has ended."""
    before = _kept(folder / store)
    process = _started(folder, store)
    try:
        process.wait(chance.uniform(0.3, 0.8 * longest))
    except subprocess.TimeoutExpired:
        family = _family(process)
        (os.killpg if found.kills % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        found.kills += 1
        if not within(ORPHANS, lambda: all(map(is_gone, family)) and not _marked(folder)):
            found.orphans += 1
    else:
        assert process.returncode == 0
    after = _kept(folder / store)
    found.kept += len(before)
    found.recomputed += sum(after.get(path) != stamp for path, stamp in before.items())
    return process.returncode == 0


def _started(folder: Path, store: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bnnbench", "run", "--store", store, "-j", "2"]
    with (folder / f"{store}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "FAULTS": str(folder)},
        )


def _kept(store: Path) -> dict[Path, tuple[int, int]]:
    """Finished outcomes, with what would change if they were written again."""
    paths = [path for kind in ("fits", "cells") for path in (store / kind).glob(f"*/{RECORD}")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def _family(process: subprocess.Popen[bytes]) -> list[int]:
    try:
        return [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _marked(folder: Path) -> list[int]:
    """Workers of this campaign, wherever they are: born with a mark, and in its folder."""
    found = []
    for process in psutil.process_iter():
        try:
            variables = process.environ()
            if MARK in variables and variables.get("FAULTS") == str(folder) and not is_gone(process.pid):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def _report(folder: Path, store: str) -> bytes:
    command = [sys.executable, "-m", "bnnbench", "report", "--store", store, "--format", "json"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
