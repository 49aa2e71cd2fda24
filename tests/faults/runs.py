"""Start, signal and inspect whole runs of a small matrix with two workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import light
import psutil
from waiting import is_gone, within

from bnnbench.pool.processes.guard import MARK
from bnnbench.store.store import RECORD

FILE = """\
epsilons: [0.0, 0.05, 0.1]
evaluate: {images: 30, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [8]}}
posteriors:
  fixed: {use: 'light.py:Fixed'}
  chains: {use: 'light.py:Chains', draws: 4, chains: 2}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 30}}
"""
ORPHANS = 5.0
"""Seconds after the end of a run within which all that it has started must have ended."""


class Undisturbed:
    """A run that is not disturbed: its time in seconds, and the bytes of its report."""

    def __init__(self, folder: Path, seeds: int) -> None:
        light.written(folder, f"seeds: {list(range(seeds))}\n{FILE}")
        began = time.monotonic()
        assert started(folder, "undisturbed").wait() == 0
        self.seconds = time.monotonic() - began
        self.report = report(folder, "undisturbed")


def started(folder: Path, store: str) -> subprocess.Popen[bytes]:
    """Start a run as the leader of a process group; its output is appended to `<store>.log`."""
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


def send(process: subprocess.Popen[bytes], number: signal.Signals, group: bool) -> None:
    """Send a signal to a run, or to its whole group, as a terminal does."""
    (os.killpg if group else os.kill)(process.pid, number)


def report(folder: Path, store: str) -> bytes:
    """What `report --format json` prints."""
    command = [sys.executable, "-m", "bnnbench", "report", "--store", store, "--format", "json"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def kept(store: Path) -> dict[Path, tuple[int, int]]:
    """The records of a store, each with its inode and time of change, which differ if it is written again."""
    paths = [path for kind in ("fits", "cells") for path in (store / kind).glob(f"*/{RECORD}")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def descendants(process: subprocess.Popen[bytes]) -> list[int]:
    """The ids of all living descendants of a run."""
    try:
        return [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def leaves_orphans(folder: Path, descendants: list[int]) -> bool:
    """Whether a process outlives its run: one of these descendants, or a worker that was started later."""
    return not within(ORPHANS, lambda: all(map(is_gone, descendants)) and not _marked(folder))


def _marked(folder: Path) -> list[int]:
    """The ids of the living workers of a campaign: they have a mark, and the campaign's folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            variables = process.environ()
            if MARK in variables and variables.get("FAULTS") == str(folder) and not is_gone(process.pid):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
