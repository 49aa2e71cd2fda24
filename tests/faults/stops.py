"""Whole runs that are asked to stop at random moments, by Ctrl-C or SIGTERM, and go on until they are finished."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from faults import runs

LATEST = 2.0
"""Seconds in which a run must have ended."""
WAYS = [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGINT, False)]
"""The signal, and whether the whole group receives it, as after Ctrl-C in a terminal."""


@dataclass
class Campaign:
    """What stopped runs have shown."""

    stops: int = 0
    finished: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def campaign(folder: Path, stops: int, seeds: int = 1, seed: int = 0) -> Campaign:
    """Stop runs until there have been so many stops, and then let the last one finish.

    A moment may lie anywhere from the command's first imports to the printing of its tables.
    """
    calm, chance, found = runs.Calm(folder, seeds), random.Random(seed), Campaign()
    while found.stops < stops:
        store, ended = f"stopped-{found.finished}", False
        while not ended:
            moment = chance.uniform(0.2, 1.1 * calm.seconds) if found.stops < stops else None
            ended = _stopped(folder, store, moment, found)
        found.finished += 1
        if runs.report(folder, store) != calm.report:
            found.wrong.append(f"{store}: another report than that of a run which nobody disturbed")
        if b"Traceback" in (folder / f"{store}.log").read_bytes():
            found.wrong.append(f"{store}: a traceback")
    return found


def _stopped(folder: Path, store: str, moment: float | None, found: Campaign) -> bool:
    """Start or resume a run and stop it after so many seconds, unless it ends before; whether it has ended."""
    number, group = WAYS[found.stops % len(WAYS)]
    before = runs.kept(folder / store)
    log = folder / f"{store}.log"
    said = log.stat().st_size if log.exists() else 0
    process = runs.started(folder, store)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        family, began = runs.family(process), time.monotonic()
        runs.send(process, number, group)
        process.wait()
        seconds = time.monotonic() - began
        found.stops += 1
        found.slowest = max(found.slowest, seconds)
        where = f"{store}, {number.name} after {moment:.1f} s"
        if seconds > LATEST:
            found.wrong.append(f"{where}: took {seconds:.1f} s")
        # Who is stopped while Python itself starts ends as Python does; who has done all is not stopped any more.
        early = log.stat().st_size == said
        if process.returncode not in (128 + number, -number if early else 0):
            found.wrong.append(f"{where}: exit code {process.returncode}")
        if runs.leaves_orphans(folder, family):
            found.wrong.append(f"{where}: something lives on")
    else:
        if process.returncode != 0:
            found.wrong.append(f"{store}: exit code {process.returncode} of a run that nobody stopped")
    after = runs.kept(folder / store)
    if any(after.get(path) != stamp for path, stamp in before.items()):
        found.wrong.append(f"{store}: a finished outcome was computed again")
    return process.returncode == 0
