"""Bugs that a store or a run could have, each put in on purpose: a suite that does not catch them proves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.matrix import files, lock
from bnnbench.matrix.store import Store


def rename_without_fsync() -> None:
    """A file becomes visible before it is durable."""

    def write_whole(final: Path, writer: Callable[[Path], None]) -> None:
        temporary = files.temporary_beside(final)
        writer(temporary)
        os.replace(temporary, final)
        files.sync_folder(final.parent)

    files.write_whole = write_whole


def folder_not_synchronised() -> None:
    """A file is durable, and its name is not."""
    files.sync_folder = lambda folder: None


def append_in_place() -> None:
    """A record is written where it will be read."""

    def write_bytes_whole(final: Path, content: bytes) -> None:
        half = len(content) // 2
        with final.open("wb") as file:
            for part in (content[:half], content[half:]):
                file.write(part)
                file.flush()
                os.fsync(file.fileno())
        files.sync_folder(final.parent)

    files.write_bytes_whole = write_bytes_whole


def early_acknowledgement() -> None:
    """A step is told before its record is written: it is written with the next one."""
    waiting: list[Callable[[], None]] = []
    write = Store.write

    def late(self: Store, *arguments: Any, **options: Any) -> None:
        while waiting:
            waiting.pop()()
        waiting.append(lambda: write(self, *arguments, **options))

    Store.write = late  # type: ignore[method-assign]


def record_before_artefacts() -> None:
    """The record is visible while what it names is not yet."""
    write_whole = files.write_whole
    held: list[tuple[Path, Callable[[Path], None]]] = []
    write = Store.write

    def whole(final: Path, writer: Callable[[Path], None]) -> None:
        if final.name.endswith(".safetensors"):
            with final.open("wb"):
                held.append((final, writer))
            writer(final)
            content = final.read_bytes()
            held[-1] = (final, lambda path: path.write_bytes(content) and None)
            return
        write_whole(final, writer)

    def late(self: Store, *arguments: Any, **options: Any) -> None:
        write(self, *arguments, **options)
        while held:
            write_whole(*held.pop())

    files.write_whole = whole
    Store.write = late  # type: ignore[method-assign]


def stale_lock() -> None:
    """A lock that is a file, and stays when its process is killed."""

    @contextlib.contextmanager
    def held(folder: Path) -> Iterator[None]:
        try:
            os.close(os.open(folder / ".locked", os.O_CREAT | os.O_EXCL))
        except FileExistsError as error:
            raise StoreError(f"{folder} is in use") from error
        try:
            yield
        finally:
            (folder / ".locked").unlink()

    lock.held = held


PLANTED: dict[str, tuple[Callable[[], None], str]] = {
    "rename without fsync": (rename_without_fsync, "power"),
    "folder not synchronised": (folder_not_synchronised, "power"),
    "append in place": (append_in_place, "kill"),
    "early acknowledgement": (early_acknowledgement, "kill"),
    "record before its artefacts": (record_before_artefacts, "power"),
}
"""Each bug, and the fault that must show it."""


def lock_survives(folder: Path, plant: Callable[[], None] | None = None) -> bool:
    """Whether the lock of a killed process is still there."""
    child = os.fork()
    if child == 0:
        try:
            if plant is not None:
                plant()
            with Store(folder).held():
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if plant is not None:
                plant()
            with Store(folder).held():
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) != 0
