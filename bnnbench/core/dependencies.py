"""The files that the code of components reads: an outcome is about the content that they had.

Each record has a field for each kind of component, such as `network_files` in that of a fit and `attack_files` in that
of a cell. Bundled components have none: they read no file that their fingerprints do not cover.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnbench.core.called_network import CalledNetwork
from bnnbench.core.component import Component
from bnnbench.core.imported_network import ImportedNetwork
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.user_code.local_imports import LocalCode
from bnnbench.core.user_code.local_modules import code_behind, read_by_the_file_of, read_code
from bnnbench.core.user_code.project import is_own, project_folders
from bnnbench.core.user_code.read_files import WRITTEN, Sums, checksum_of, kept_by, watched

Files = Mapping[str, str | None]
"""The sha256 of files by name; None for a file that was looked for in vain, and `WRITTEN` for one that was written.

A name is relative to the folder of the component's own file, or absolute.
"""
Fields = dict[str, Files]
"""Files by the field of records that holds them."""
_Place = tuple[Path, list[Path]] | None


def field_of(kind: str) -> str:
    """The field of records with the files that a component of a kind has read."""
    return f"{kind}_files"


_read_before: dict[tuple[str, str], dict[Path, str | None]] = {}
"""What this process has read for each component, by its identity and place: its code may keep what it has read."""


@contextmanager
def noted(component: Component, fields: Fields) -> Iterator[Files]:
    """Note in `fields` the files that a component depends on, when the body ends or raises; the body runs its code.

    Those are the files that the body reads, those that were read while the component's own file was imported, and those
    that this process read for it before. Gives a mapping that is filled with the first of these. Nothing is noted for
    bundled components, and for data sets with a fingerprint of their own.
    """
    now: dict[str, str | None] = {}
    if not _is_heard(component):
        yield now
        return
    place, modules, field = _place_of(component), _modules_of(component), field_of(component.kind)
    known = _read_before.setdefault((str(component.identity()), str(place)), {})
    read: Sums = {}
    try:
        with watched() as read:
            yield now
    finally:
        now.update(_named(read, place))
        for sums in (*(read_by_the_file_of(type(part)) for part in _parts(component)), kept_by(modules), read):
            known.update(sums)
        if named := {**fields.get(field, {}), **_named(known, place)}:
            fields[field] = dict(sorted(named.items()))


def in_record(record: Mapping[str, Any] | None, component: Component) -> Files:
    """The files that a component read, in a record; none if it has none, or something else in their place."""
    files = (record or {}).get(field_of(component.kind))
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files):
        return {}
    return files if all(checksum is None or isinstance(checksum, str) for checksum in files.values()) else {}


@dataclass(frozen=True)
class Change:
    """A file that has another content than when a component read it, or that has appeared since."""

    component: str
    file: str
    appeared: bool

    def told(self, when: str = "") -> str:
        """What has become of the file, as part of a sentence; `when` says when it was read."""
        return _told(self.file, f"its {self.component}", self.appeared, when)


def _told(file: str, reader: str, appeared: bool, when: str) -> str:
    read, became = ("looked for", "is there now") if appeared else ("read", "has changed since")
    return f"{file}, which {reader} {read}{when}, {became}"


def changed(record: Mapping[str, Any] | None, *components: Component) -> Change | None:
    """The first file that components read for a record and that has changed; None if there is none.

    A file that is gone has not changed.
    """
    for component in components:
        before = in_record(record, component)
        place = _place_of(component) if before else None
        for name, checksum in before.items():
            now = None if checksum == WRITTEN else checksum_of(_path(name, place))
            if now is not None and now != checksum:
                return Change(_word(component), str(_path(name, place)), checksum is None)
    return None


def difference(before: Files, now: Files, component: Component) -> str | None:
    """What has become of the first of the files that a component read before, if it reads another content `now`."""
    place, when = _place_of(component) if before or now else None, " when it was fitted"
    for name, checksum in before.items():
        if checksum == WRITTEN:
            continue
        file = _path(name, place)
        current = now.get(name) or checksum_of(file)
        if current is None and checksum is not None:
            return f"{file}, which it read{when}, is gone"
        if current != checksum:
            return _told(str(file), "it", checksum is None, when)
    # Files outside of the project may be caches of libraries.
    new = [name for name, checksum in now.items() if checksum and name not in before and not Path(name).is_absolute()]
    return f"{_path(new[0], place)}, which it reads, it did not read{when}" if new else None


def _word(component: Component) -> str:
    return "data set" if component.kind == "dataset" else component.kind


def _parts(component: Component) -> list[Component]:
    """A component and those among its parameters."""
    return [component, *(part for _, part in component.components())]


def _is_heard(component: Component) -> bool:
    """Whether some code of a component is neither bundled nor spoken for by a data set's own fingerprint."""
    if component.kind == "dataset":
        definer = next(cls for cls in type(component).__mro__ if "fingerprint" in vars(cls))
        if not _is_bundled(definer):
            return False
    return any(isinstance(part, CalledNetwork) or not _is_bundled(type(part)) for part in _parts(component))


@functools.cache
def _is_bundled(cls: type) -> bool:
    """Whether a class is from bnnbench or a bundled plugin."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file is not None and is_own(Path(file))


def _code_of(component: Component) -> LocalCode | None:
    if isinstance(component, ModuleFile):
        return read_code(component.path, component.project)
    return code_behind(type(component))


def _modules_of(component: Component) -> set[str]:
    """The top-level modules of a component's code that are imported once in a process."""
    found = set()
    for part in _parts(component):
        code = _code_of(part)
        names = [type(part).__module__, *(code.elsewhere if code else ())]
        names += [part.module] if isinstance(part, ImportedNetwork) else []
        found |= {name.partition(".")[0] for name in names}
    return found


def _place_of(component: Component) -> _Place:
    """The folder of the component's own file, and those of its project; None for a component that is installed."""
    if isinstance(component, ModuleFile):
        path, base = Path(component.path).resolve(), component.project
        return path.parent, project_folders(path, Path(base).resolve() if base else None)
    code = next(filter(None, (code_behind(type(part)) for part in _parts(component))), None)
    return (code.folder, code.folders) if code else None


def _named(sums: Sums, place: _Place) -> Files:
    named = {_name(file, place): checksum for file, checksum in sums.items()}
    # Of the files that were written only those of the project are compared.
    return {name: checksum for name, checksum in named.items() if checksum != WRITTEN or not Path(name).is_absolute()}


def _name(file: Path, place: _Place) -> str:
    """The name of a file in records: relative if it belongs to the project, so that the project may be moved."""
    file = Path(os.path.realpath(file.parent), file.name)
    if place is None or not any(file.is_relative_to(folder) for folder in (place[0], *place[1])):
        return str(file)
    return Path(os.path.relpath(file, place[0])).as_posix()


def _path(name: str, place: _Place) -> Path:
    return Path(os.path.normpath(place[0] / name)) if place else Path(name)
