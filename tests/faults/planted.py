"""Plant bugs that a store or a run could have: a fault suite that does not catch them proves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.store import checks, files, lock
from bnnbench.store.store import Store


def rename_without_fsync() -> None:
    """Plant: a file becomes visible before it is durable."""

    def write_whole(final: Path, writer: Callable[[Path], None]) -> None:
        temporary = files.temporary_beside(final)
        writer(temporary)
        os.replace(temporary, final)
        files.sync_folder(final.parent)

    files.write_whole = write_whole


def folder_not_synchronised() -> None:
    """Plant: a file is durable, and its name is not."""
    files.sync_folder = lambda folder: None


def append_in_place() -> None:
    """Plant: a record is written in place, so that half of it is visible for a moment."""

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
    """Plant: a step is acknowledged before its record is written, which happens with the next one."""
    waiting: list[Callable[[], None]] = []
    write = Store.write

    def late(self: Store, *arguments: Any, **options: Any) -> None:
        while waiting:
            waiting.pop()()
        waiting.append(lambda: write(self, *arguments, **options))

    Store.write = late  # type: ignore[method-assign]


def record_before_artefacts() -> None:
    """Plant: a record is durable before the artefacts that it names."""
    write_whole = files.write_whole
    delayed: list[tuple[Path, Callable[[Path], None]]] = []
    write = Store.write

    def whole(final: Path, writer: Callable[[Path], None]) -> None:
        if final.name.endswith(".safetensors"):
            with final.open("wb"):
                delayed.append((final, writer))
            writer(final)
            content = final.read_bytes()
            delayed[-1] = (final, lambda path: path.write_bytes(content) and None)
            return
        write_whole(final, writer)

    def late(self: Store, *arguments: Any, **options: Any) -> None:
        write(self, *arguments, **options)
        while delayed:
            write_whole(*delayed.pop())

    files.write_whole = whole
    Store.write = late  # type: ignore[method-assign]


def stale_lock() -> None:
    """Plant: the lock is the existence of a file, which stays when its process is killed."""

    @contextlib.contextmanager
    def locked(folder: Path) -> Iterator[lock.Lock]:
        try:
            os.close(os.open(folder / ".locked", os.O_CREAT | os.O_EXCL))
        except FileExistsError as error:
            raise StoreError(f"{folder} is in use") from error
        try:
            yield lock.Lock(-1, after_a_crash=False)
        finally:
            (folder / ".locked").unlink()

    lock.locked = locked


@contextlib.contextmanager
def unverified_artefacts() -> Iterator[None]:
    """Plant: draws and arrays are loaded without a look at their checksums."""
    compare = checks.compare_sums
    checks.compare_sums = lambda path, sha256, expected: None
    try:
        yield
    finally:
        checks.compare_sums = compare


PLANTED: dict[str, tuple[Callable[[], None], str]] = {
    "rename without fsync": (rename_without_fsync, "power"),
    "folder not synchronised": (folder_not_synchronised, "power"),
    "append in place": (append_in_place, "kill"),
    "early acknowledgement": (early_acknowledgement, "kill"),
    "record before its artefacts": (record_before_artefacts, "power"),
}
"""Each bug, and the fault that must reveal it."""


def lock_survives(folder: Path, plant: Callable[[], None] | None = None) -> bool:
    """Whether a process that is killed while it holds a store keeps the next one from holding it."""
    child = os.fork()
    if child == 0:
        try:
            if plant is not None:
                plant()
            with Store(folder).held():
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the first process could not hold the store"
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
