"""Faults of the disk and of the power, at every single step of a store's life.

Each trial is a child process of its own, forked, in which the k-th call that changes the disk kills the process, or
fails, or is the last before the power is lost. What a power failure leaves is a model: of each file what was there when
it was last synchronised, and of each directory the entries that it had then. No real disk forgets more.
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


LOSING_POWER = ("power", "resume")


class Cut(BaseException):
    """A kill after which the model of the disk lives on."""


@dataclass
class Sweep:
    """What became of a sweep: how many trials there were, and what was wrong after them."""

    trials: int = 0
    wrong: list[str] = field(default_factory=list)


def sweep(folder: Path, fault: str, plant: Callable[[], object] | None = None) -> Sweep:
    """One trial for each call that changes the disk: `kill`, `ENOSPC`, `EIO`, `power`, or `resume`: killed there, taken
    up and finished by another, and only then the power is lost."""
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
        found.wrong += [f"{fault} at call {number}: {line}" for line in checked(ended.store, ended.told)]


@dataclass
class Ended:
    """A trial: the store that it left, the steps that it told, and whether its call never came."""

    store: Path
    told: list[str]
    finished: bool


def _trial(store: Path, fault: str, number: int, plant: Callable[[], object] | None) -> Ended:
    told = store.parent / "told"
    child = os.fork()
    if child == 0:
        _child(store, told, fault, number, plant)
    _, status = os.waitpid(child, 0)
    lines = told.read_text().splitlines() if told.exists() else []
    finished = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1:
        raise AssertionError(f"the trial itself failed at call {number}")
    return Ended(store.parent / "left" / "store" if fault in LOSING_POWER else store, lines, finished)


def _child(store: Path, told: Path, fault: str, number: int, plant: Callable[[], object] | None) -> None:
    code = 1
    try:
        disk = Disk(store.parent)
        with told.open("ab", buffering=0) as file:
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
        workload.live(store, lambda step: None if disk.cut else tell(step))
    except Cut:
        disk.cut = False
        workload.live(store, tell)
        disk.leave(store.parent / "left")


def _strike(fault: str, disk: Disk, left: Path) -> None:
    if fault == "resume":
        disk.cut = True
        raise Cut
    if fault == "power":
        disk.leave(left)
    if fault in ("kill", "power"):
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(getattr(errno, fault), os.strerror(getattr(errno, fault)))


def _inject(fault: str, number: int, disk: Disk, left: Path) -> None:
    graves = left.parent / "graves"
    graves.mkdir()

    def around(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def replaced(*arguments: Any, **options: Any) -> Any:
            disk.calls += 1
            # Who is killed does nothing more, not even to tidy up.
            if disk.calls == number or disk.cut:
                _strike(fault, disk, left)
            if name in ("unlink", "rmdir"):
                # What is removed goes elsewhere, so that its inode does not become that of something new.
                return rename(arguments[0], graves / str(disk.calls), src_dir_fd=options.get("dir_fd"))
            result = call(*arguments, **options)
            if name == "fsync":
                disk.synchronised(arguments[0])
            return result

        return replaced

    rename = os.rename
    for name in NAMES:
        setattr(os, name, around(getattr(os, name), name))


def checked(store: Path, told: list[str]) -> list[str]:
    """What is wrong after a fault, and whether the next run can finish."""
    try:
        problems = workload.wrong(store, told)
        workload.live(store, lambda step: None)
        return problems + workload.wrong(store, [step[0] for step in workload.STEPS])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return [f"{type(error).__name__}: {error}"]


class Disk:
    """What would be found after a power failure."""

    def __init__(self, root: Path) -> None:
        self._root, self.calls, self.cut = root, 0, False
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, tuple[int, bool]]] = {}
        self._look(root)

    def synchronised(self, descriptor: int) -> None:
        """A file or a directory is now on the disk as it is."""
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            self._look(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        else:
            self._files[state.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def leave(self, folder: Path) -> None:
        """Write down what the disk holds."""
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
