"""The code of a class, however the class was imported: its checksum, and whether it is what this process imported."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from bnnbench.core.user_code.local_modules import check_not_edited, check_unchanged, checksum_of_code, read_code
from bnnbench.core.user_code.project import is_installed, is_own


def code_of(cls: type) -> str:
    """The sha256 of the file that defines a class, in hexadecimal; empty if there is no such file.

    Of a file that is not installed, or installed for editing, the files count too that it imports from its project and
    from folders on Python's path (`local_imports.LocalCode`).
    """
    own = checksum_of_code(cls)
    if own is not None:
        return own
    file = _file_of(cls)
    if file is None:
        return ""
    return read_code(file).checksum if _may_be_edited(file) else hashlib.sha256(file.read_bytes()).hexdigest()


def check_current(cls: type) -> None:
    """Raise an error if the code of a class is not what this process imported.

    That is a `StoreError` for a file of the user's own. Of a module that Python imports under its own name, which it
    does once, it is a `PluginError`; changes count from the first call for the class.
    """
    check_unchanged(cls)
    file = _file_of(cls)
    if checksum_of_code(cls) is None and file is not None and _may_be_edited(file):
        check_not_edited(read_code(file).contents)


def _file_of(cls: type) -> Path | None:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file) if file and Path(file).is_file() else None


def _may_be_edited(file: Path) -> bool:
    return not is_installed(file) and not is_own(file)
