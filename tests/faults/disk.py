"""Inject faults of the disk and of the power at every call of a workload that changes the disk.

Each trial is a forked child process, in which the k-th call that changes the disk kills the process, or fails, or is
the last one before the power is lost. A model says what a loss of power leaves: the content of each file when it was
last synchronised, and the entries that each directory had then. No real disk forgets more.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import workload

from bnnbench.errors import StoreError

NAMES = ("fsync", "replace", "mkdir", "unlink", "rmdir", "ftruncate")
"""The functions of `os` that change the disk."""
LOSING_POWER = ("power", "resume")
"""The faults that end in a loss of power."""


class Killed(BaseException):
    """Stands for a kill of the process, so that the model of the disk in its memory is kept."""


@dataclass
class Sweep:
    """The number of trials of a sweep, and a line for each thing that was wrong after one."""

    trials: int = 0
    wrong: list[str] = field(default_factory=list)


def sweep(folder: Path, fault: str, plant: Callable[[], object] | None = None, enough: int | None = None) -> Sweep:
    """One trial for each call of the workload that changes the disk.

    `fault` is `kill`, `ENOSPC`, `EIO`, `power`, or `resume`: the process is killed, another one finishes the workload,
    and then the power is lost. `plant` is called in the child process first, and plants a bug. The sweep ends early
    once so many things are wrong as are `enough`.
    """
    found = Sweep()
    number = 0
    while True:
        number += 1
        store = folder / f"{fault}-{number}" / "store"
        store.parent.mkdir(parents=True)
        ended = _trial(store, fault, number, plant)
        if ended.finished:
            return found
        found.trials += 1
        found.wrong += [f"{fault} at call {number}: {line}" for line in checked(ended.store, ended.acknowledged)]
        if enough is not None and len(found.wrong) >= enough:
            return found


@dataclass
class Ended:
    """A trial: the store that it left, the steps that it acknowledged, and whether its call was never made."""

    store: Path
    acknowledged: list[str]
    finished: bool


def _trial(store: Path, fault: str, number: int, plant: Callable[[], object] | None) -> Ended:
    log = store.parent / "acknowledged"
    child = os.fork()
    if child == 0:
        _child(store, log, fault, number, plant)
    _, status = os.waitpid(child, 0)
    lines = log.read_text().splitlines() if log.exists() else []
    finished = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1:
        raise AssertionError(f"the trial itself failed at call {number}")
    return Ended(store.parent / "left" / "store" if fault in LOSING_POWER else store, lines, finished)


def _child(store: Path, log: Path, fault: str, number: int, plant: Callable[[], object] | None) -> None:
    code = 1
    try:
        disk = Disk(store.parent)
        with log.open("ab", buffering=0) as file:
            if plant is not None:
                plant()
            _inject(fault, number, disk, store.parent / "left")
            _live(store, disk, lambda step: file.write(f"{step[0]}\n".encode()) and None)
        code = 0 if disk.calls < number else 2
    except (OSError, StoreError):
        code = 3
    finally:
        os._exit(code)


def _live(store: Path, disk: Disk, tell: Callable[[workload.Step], None]) -> None:
    try:
        workload.live(store, lambda step: None if disk.process_is_killed else tell(step))
    except Killed:
        disk.process_is_killed = False
        workload.live(store, tell)
        disk.leave(store.parent / "left")


def _strike(fault: str, disk: Disk, left: Path) -> None:
    if fault == "resume":
        disk.process_is_killed = True
        raise Killed
    if fault == "power":
        disk.leave(left)
    if fault in ("kill", "power"):
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(getattr(errno, fault), os.strerror(getattr(errno, fault)))


def _inject(fault: str, number: int, disk: Disk, left: Path) -> None:
    removed = left.parent / "removed"
    removed.mkdir()

    def around(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def replaced(*arguments: Any, **options: Any) -> Any:
            disk.calls += 1
            # A killed process does nothing more, not even in its `finally` blocks.
            if disk.calls == number or disk.process_is_killed:
                _strike(fault, disk, left)
            if name in ("unlink", "rmdir"):
                # A removed file is kept elsewhere, so that its inode is not given to a new file.
                return rename(arguments[0], removed / str(disk.calls), src_dir_fd=options.get("dir_fd"))
            result = call(*arguments, **options)
            if name == "fsync":
                disk.synchronised(arguments[0])
            return result

        return replaced

    rename = os.rename
    for name in NAMES:
        setattr(os, name, around(getattr(os, name), name))


def checked(store: Path, acknowledged: list[str]) -> list[str]:
    """A line for each thing that is wrong after a fault, and after the workload was resumed and finished."""
    try:
        problems = workload.wrong(store, acknowledged)
        workload.live(store, lambda step: None)
        return problems + workload.wrong(store, [step[0] for step in workload.STEPS])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return [f"{type(error).__name__}: {error}"]


class Disk:
    """A model of the disk below a folder: what a loss of power at this moment would leave.

    `calls` counts the calls that change the disk, and `process_is_killed` stands for the end of the process.
    """

    def __init__(self, root: Path) -> None:
        self._root, self.calls, self.process_is_killed = root, 0, False
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, tuple[int, bool]]] = {}
        self._look(root)

    def synchronised(self, descriptor: int) -> None:
        """Note that a file or a directory is on the disk as it is now."""
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            self._look(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        else:
            self._files[state.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def leave(self, folder: Path) -> None:
        """Write the files that a loss of power would leave into a folder."""
        self._write(self._root.stat().st_ino, folder)

    def _look(self, folder: Path) -> None:
        entries = {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}
        self._folders[folder.stat().st_ino] = entries

    def _write(self, number: int, folder: Path) -> None:
        os.makedirs(folder)
        for name, (inode, is_folder) in self._folders.get(number, {}).items():
            if is_folder:
                self._write(inode, folder / name)
            else:
                with open(folder / name, "wb") as file:
                    file.write(self._files.get(inode, b""))
