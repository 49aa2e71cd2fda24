"""Inject faults from outside with strace: the k-th system call of a real process fails, or kills the process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from faults import workload
from faults.disk import Sweep, checked

CALLS = "fsync", "rename", "write", "mkdir", "openat"
FAULTS = {"ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "kill": "signal=SIGKILL"}
IMPORTS = "import numpy, safetensors.numpy, bnnbench.store.store"
"""What the workload imports before it begins."""
MOST = 60
"""The largest number of calls of one kind that are tried. The calls of Python's own start are left out."""


def is_there() -> bool:
    """Whether strace is installed and allowed to trace."""
    return shutil.which("strace") is not None and _runs()


def _runs() -> bool:
    return subprocess.run(["strace", "-qq", "true"], check=False, capture_output=True).returncode == 0


def sweep(folder: Path, call: str, fault: str, step: int = 1) -> Sweep:
    """One trial for every `step`-th call of a kind that the workload makes."""
    found = Sweep()
    first = _calls(folder, call, [sys.executable, "-c", IMPORTS]) + 1
    last = _calls(folder, call, _workload(folder / "untouched"))
    for number in range(first, min(last, first + MOST * step) + 1, step):
        place = folder / f"{call}-{fault}-{number}"
        place.mkdir()
        command = [*_strace(call), "-o", "/dev/null", "-e", f"inject={call}:{FAULTS[fault]}:when={number}"]
        subprocess.run([*command, *_workload(place)], check=False, capture_output=True, timeout=120)
        log = place / "acknowledged"
        acknowledged = log.read_text().splitlines() if log.exists() else []
        found.trials += 1
        found.wrong += [f"{fault} at {call} {number}: {line}" for line in checked(place / "store", acknowledged)]
    return found


def _strace(call: str) -> list[str]:
    return ["strace", "-f", "-qq", "-e", f"trace={call}"]


def _workload(place: Path) -> list[str]:
    return [sys.executable, str(Path(workload.__file__)), str(place / "store"), str(place / "acknowledged")]


def _calls(folder: Path, call: str, command: list[str]) -> int:
    """The number of calls of a kind that a command makes."""
    log = folder / "calls"
    (folder / "untouched").mkdir(exist_ok=True)
    subprocess.run([*_strace(call), "-o", str(log), *command], check=True, capture_output=True, timeout=120)
    return len(log.read_text().splitlines())
