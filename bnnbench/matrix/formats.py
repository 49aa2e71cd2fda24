"""What marks a directory as a store, and how stores of earlier formats become current ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bnnbench.errors import StoreError
from bnnbench.matrix.files import read_plain, write_bytes_whole

MARKER = "store.json"
CURRENT = 1
"""The format of the directory. Keys have a schema of their own, which is part of them."""
FOLDERS = ("fits", "chains", "cells", "runs", "quarantine")


def _mark(path: Path) -> None:
    """Format 0 had no marker, and is otherwise format 1."""


STEPS: dict[int, Callable[[Path], None]] = {0: _mark}
"""What turns each earlier format into the next one. A step may be cut short by a crash: it must bear being repeated."""


def found(path: Path) -> int | None:
    """The format of a store, None for a directory that is absent or empty; raises `StoreError` for any other."""
    try:
        text = read_plain(path / MARKER, 4096)
    except FileNotFoundError:
        return _unmarked(path)
    except NotADirectoryError as error:
        raise StoreError(f"{path} cannot be used as a store: not a directory") from error
    except OSError as error:
        raise StoreError(f"{path / MARKER}: {(error.strerror or str(error)).lower()}") from error
    try:
        number = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path / MARKER} does not say the format of a store of bnnbench") from error
    if type(number) is not int or not 1 <= number <= CURRENT:
        raise StoreError(f"{path} is a store of format {number!r}, and this bnnbench knows {CURRENT}: upgrade bnnbench")
    _check_folders(path)
    return number


def _unmarked(path: Path) -> int | None:
    try:
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be used as a store: {(error.strerror or str(error)).lower()}") from error
    if not names:
        return None
    if not names <= set(FOLDERS):
        raise StoreError(f"{path} is not a store of bnnbench: it holds {sorted(names - set(FOLDERS))[0]!r}")
    if not names & {"fits", "cells"}:
        raise StoreError(f"{path} is not a store of bnnbench: it holds no fits and no cells")
    _check_folders(path)
    return 0


def _check_folders(path: Path) -> None:
    for name in FOLDERS:
        if (path / name).is_symlink():
            raise StoreError(f"{path / name} is a link: nothing in a store is followed elsewhere")


def migrate(path: Path) -> None:
    """Bring a directory to the current format; whoever calls holds the store's lock."""
    number = found(path)
    if number == CURRENT:
        return
    for step in range(number or 0, CURRENT):
        STEPS[step](path)
    text = json.dumps({"format": CURRENT, "made by": "bnnbench"}) + "\n"
    write_bytes_whole(path / MARKER, text.encode())
