"""The same faults from outside, by strace: the k-th system call of a real process fails, or kills it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from faults import workload
from faults.disk import Sweep, checked

CALLS = "fsync", "rename", "write", "mkdir", "openat"
FAULTS = {"ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "kill": "signal=SIGKILL"}
MOST = 60
"""Calls of one kind that are tried; Python's own at its start come first, and are passed by."""


def is_there() -> bool:
    """Whether strace is installed, and may trace."""
    return shutil.which("strace") is not None and _runs()


def _runs() -> bool:
    return subprocess.run(["strace", "-qq", "true"], check=False, capture_output=True).returncode == 0


def sweep(folder: Path, call: str, fault: str, step: int = 1) -> Sweep:
    """One trial for each `step`-th call of a kind that the store's life makes."""
    found, number = Sweep(), 1
    first = _calls(folder, call, "pass") + 1
    last = _calls(folder, call, str(Path(workload.__file__)))
    for number in range(first, min(last, first + MOST * step) + 1, step):
        place = folder / f"{call}-{fault}-{number}"
        place.mkdir()
        command = [*_strace(call), "-o", "/dev/null", "-e", f"inject={call}:{FAULTS[fault]}:when={number}"]
        subprocess.run([*command, *_life(place)], check=False, capture_output=True, timeout=120)
        told = (place / "told").read_text().splitlines() if (place / "told").exists() else []
        found.trials += 1
        found.wrong += [f"{fault} at {call} {number}: {line}" for line in checked(place / "store", told)]
    return found


def _strace(call: str) -> list[str]:
    return ["strace", "-f", "-qq", "-e", f"trace={call}"]


def _life(place: Path) -> list[str]:
    return [sys.executable, str(Path(workload.__file__)), str(place / "store"), str(place / "told")]


def _calls(folder: Path, call: str, what: str) -> int:
    """How many calls of a kind there are in the whole life, or (`pass`) in what comes before it."""
    place = folder / f"{call}-{len(list(folder.iterdir()))}"
    place.mkdir()
    log = place / "log"
    imports = "import numpy, safetensors.numpy, bnnbench.matrix.store"
    command = [sys.executable, "-c", imports] if what == "pass" else _life(place)
    subprocess.run([*_strace(call), "-o", str(log), *command], check=True, capture_output=True, timeout=120)
    return len(log.read_text().splitlines())
