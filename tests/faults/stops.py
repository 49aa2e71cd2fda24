"""Stop whole runs at random moments by Ctrl-C or SIGTERM, and resume each until it is finished."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from faults import runs

STOP_SECONDS = 2.0
"""The time within which a run must have ended."""
WAYS = [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGINT, False)]
"""The signal, and whether the whole group receives it, as after Ctrl-C in a terminal."""


@dataclass
class Campaign:
    """The results of a campaign: numbers of stops and of finished runs, and a line for each thing that was wrong.

    `slowest` is the longest time in seconds that a run took to stop.
    """

    stops: int = 0
    finished: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def campaign(folder: Path, stops: int, seeds: int = 1, seed: int = 0) -> Campaign:
    """Stop runs `stops` times in all, and then let the last run finish.

    A moment may lie anywhere from the command's first imports to the printing of its tables.
    """
    undisturbed, generator, found = runs.Undisturbed(folder, seeds), random.Random(seed), Campaign()
    while found.stops < stops:
        store, ended = f"stopped-{found.finished}", False
        while not ended:
            moment = generator.uniform(0.2, 1.1 * undisturbed.seconds) if found.stops < stops else None
            ended = _stopped(folder, store, moment, found)
        found.finished += 1
        if runs.report(folder, store) != undisturbed.report:
            found.wrong.append(f"{store}: another report than that of an undisturbed run")
        if b"Traceback" in (folder / f"{store}.log").read_bytes():
            found.wrong.append(f"{store}: a traceback")
    return found


def _stopped(folder: Path, store: str, moment: float | None, found: Campaign) -> bool:
    """Start or resume a run, and stop it after `moment` seconds unless it ends before. Whether it has ended."""
    number, group = WAYS[found.stops % len(WAYS)]
    before = runs.kept(folder / store)
    log = folder / f"{store}.log"
    printed = log.stat().st_size if log.exists() else 0
    process = runs.started(folder, store)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        descendants, began = runs.descendants(process), time.monotonic()
        runs.send(process, number, group)
        process.wait()
        seconds = time.monotonic() - began
        found.stops += 1
        found.slowest = max(found.slowest, seconds)
        where = f"{store}, {number.name} after {moment:.1f} s"
        if seconds > STOP_SECONDS:
            found.wrong.append(f"{where}: took {seconds:.1f} s")
        # A process that is stopped while Python itself starts ends by the signal; one that is done ends with 0.
        early = log.stat().st_size == printed
        if process.returncode not in (128 + number, -number if early else 0):
            found.wrong.append(f"{where}: exit code {process.returncode}")
        if runs.leaves_orphans(folder, descendants):
            found.wrong.append(f"{where}: a process is left")
    else:
        if process.returncode != 0:
            found.wrong.append(f"{store}: exit code {process.returncode} of a run that was not stopped")
    after = runs.kept(folder / store)
    if any(after.get(path) != stamp for path, stamp in before.items()):
        found.wrong.append(f"{store}: a finished outcome was computed again")
    return process.returncode == 0
