"""The format of a store's directory: how it is marked, and how stores of earlier formats become current ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bnnbench.errors import StoreError
from bnnbench.store.files import read_plain, write_bytes_whole
from bnnbench.store.layout import CELLS, FITS, FOLDERS

MARKER = "store.json"
CURRENT = 1
"""The current format of the directory. The format of keys is another number, `matrix.plan.SCHEMA`."""


def _mark(path: Path) -> None:
    """Do nothing: format 0 is format 1 without its marker, which `migrate` writes."""


STEPS: dict[int, Callable[[Path], None]] = {0: _mark}
"""Turns each earlier format into the next one. A crash may cut a step short, so it must bear being repeated."""


def format_of(path: Path) -> int | None:
    """The format of a store; None for a directory that is absent or empty.

    Raises `StoreError` for any other directory, for a store of a later format, and for a damaged marker.
    """
    try:
        text = read_plain(path / MARKER, 4096)
    except FileNotFoundError:
        return _format_without_marker(path)
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
    _refuse_links(path)
    return number


def migrate(path: Path) -> None:
    """Bring a store to the current format and mark it. The caller holds its lock."""
    number = format_of(path)
    if number == CURRENT:
        return
    for step in range(number or 0, CURRENT):
        STEPS[step](path)
    text = json.dumps({"format": CURRENT, "made by": "bnnbench"}) + "\n"
    write_bytes_whole(path / MARKER, text.encode())


def _format_without_marker(path: Path) -> int | None:
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
    if not names & {FITS, CELLS}:
        raise StoreError(f"{path} is not a store of bnnbench: it holds no fits and no cells")
    _refuse_links(path)
    return 0


def _refuse_links(path: Path) -> None:
    for name in FOLDERS:
        if (path / name).is_symlink():
            raise StoreError(f"{path / name} is a link: nothing in a store is followed elsewhere")
