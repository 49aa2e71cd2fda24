"""A Python file and the files of its project that it imports: which files those are, and their checksum."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnnbench.core.user_code import imports_in_text
from bnnbench.core.user_code.project import (
    is_importable,
    module_at,
    own_modules,
    package_root,
    places_on_the_path,
    project_folders,
)

MOST = 5000
"""The largest number of files that are followed."""
Found = list[tuple[str, Path]]
"""Modules by their dotted names, with their files."""


@dataclass(frozen=True)
class LocalCode:
    """The content of a Python file, and of the files that it imports and that are not installed, as they were read.

    It imports from its own folder, from its project (`project.project_folders`), and from folders on Python's path,
    such as a package that is installed for editing. An import counts wherever it stands in the text. One by a name that
    is computed is not seen: its module is read when it is imported (`local_importer`). Nothing is run.
    """

    path: Path
    """The file, with links resolved."""
    base: Path | None
    """The folder of the benchmarks file that names the file; None if there is none."""
    name: str
    """The dotted name under which the file is imported: that in its package if it imports from this, else its own."""
    folders: list[Path]
    """The folders from which it imports, nearest first."""
    contents: dict[Path, bytes] = field(default_factory=dict)
    """The content of each file, the first one's included."""
    modules: dict[str, Path] = field(default_factory=dict)
    """The file of each module of the project, by its dotted name."""
    spaces: dict[str, list[Path]] = field(default_factory=dict)
    """The folders of each namespace package of the project, by its dotted name."""
    elsewhere: dict[str, Path] = field(default_factory=dict)
    """The files on Python's own path, by their dotted names. They are imported from there, as anywhere."""

    @classmethod
    def read(cls, path: str | Path, base: str | Path | None = None) -> LocalCode:
        """The content as it is now. Raises `OSError` for a file that cannot be read."""
        start, around = Path(path).resolve(), Path(base).resolve() if base else None
        content = start.read_bytes()
        name, top = _name_of(start, content)
        folders = list(dict.fromkeys([top, *project_folders(start, around)]))
        code = cls(start, around, name, folders, {start: content})
        code._follow()
        return code

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    @property
    def imported(self) -> list[Path]:
        """The files that the file imports, directly or through one another, sorted."""
        return sorted(self.contents.keys() - {self.path})

    @property
    def tree(self) -> ast.Module:
        """The syntax tree of the file. Raises `ValueError` if it is not Python."""
        return imports_in_text.parsed(self.path, self.contents[self.path])

    @functools.cached_property
    def checksum(self) -> str:
        """The sha256 of the file or, if it imports others, of the checksums of all and of the others' names.

        The names are relative to the folder, and those of files on Python's path are the names of the modules: files
        that move together keep their checksum.
        """
        own = _sum(self.contents[self.path])
        if not self.imported:
            return own
        modules = {file: f"+{name}" for name, file in self.elsewhere.items()}
        named = [(modules.get(file) or _relative(file, self.folder), file) for file in self.imported]
        listed = [f"{_sum(self.contents[file])}  {name}" for name, file in sorted(named)]
        return hashlib.sha256("\n".join([own, *listed]).encode(errors="backslashreplace")).hexdigest()

    @functools.cached_property
    def top_names(self) -> frozenset[str]:
        """The top-level names that imports take from the project, before installed modules of these names."""
        return frozenset(map(_top, self.modules))

    @functools.cached_property
    def imported_names(self) -> frozenset[str]:
        """The top-level names of all absolute imports of all files."""
        found = (one for file, content in self.contents.items() for one in _imports(file, content))
        return frozenset(_top(one.module) for one in found if not one.level)

    def _follow(self) -> None:
        """Read the files that are imported, beginning with the packages that hold the file."""
        packages = self._of_the_project(self.name.rpartition(".")[0], relative=True)
        self.modules[self.name] = self.path
        unseen = [(name, place, True) for name, place in [*packages, (self.name, self.path)]]
        seen = {name for name, _, _ in unseen}
        while unseen and len(self.contents) < MOST:
            name, file, local = unseen.pop(0)
            if file not in self.contents:
                self.contents[file] = file.read_bytes()
            for wanted, relative in _wanted(name, file, self.contents[file]):
                found = self._of_the_project(wanted, relative) if local else []
                inside = bool(found)
                if not found and not (local and relative):
                    found = _on_the_path(wanted)
                    self.elsewhere.update(found)
                unseen += [(one, place, inside) for one, place in found if one not in seen]
                seen.update(one for one, _ in found)

    def find(self, wanted: str) -> bool:
        """Whether an absolute import of a name that no text shows takes a module of the project; its file is kept."""
        return bool(self._of_the_project(wanted, relative=False))

    def _of_the_project(self, wanted: str, relative: bool) -> Found:
        """The modules of the project that a dotted name and its parents stand for; they are kept.

        An absolute import takes a module of the standard library, or a regular package that is installed, before a
        folder of that name without `__init__.py`. bnnbench is no part of a project, not even of its own checkout.
        """
        top, folders = _top(wanted), self.folders
        if not relative and top in own_modules():
            return []
        if not relative and top in sys.stdlib_module_names:
            folders = self.folders[:1] if self.folders[0] == self.folder else []
        found, spaces = _walked(wanted, folders)
        if not found and not relative and self.folder not in folders and not is_importable(top):
            found, spaces = _walked(wanted, [self.folder])
        if not found or (not relative and top in spaces and is_importable(top)):
            return []
        for name, places in spaces.items():
            self.spaces.setdefault(name, places)
        return [(name, self.modules.setdefault(name, place)) for name, place in found]


def module_in_project(module: str, folder: Path) -> Path | None:
    """The file of a module that a file in a folder imports from its project; None if the project has none."""
    if _top(module) in sys.stdlib_module_names:
        return None
    found, spaces = _walked(module, project_folders(folder / "__main__.py", folder))
    if _top(module) in spaces and is_importable(_top(module)):
        return None
    return dict(found).get(module)


def files_on_the_path(module: str) -> list[Path]:
    """The file of a module on Python's own path and those of its packages, if they may be edited; none if not."""
    found = _on_the_path(module)
    return [place for _, place in found] if module in dict(found) else []


def _name_of(file: Path, content: bytes) -> tuple[str, Path]:
    """The dotted name under which a file is imported, and the folder from which.

    A file that imports from its package, by dots or by the package's name, is imported as a module of it. Dots that
    lead further up make the folders there packages too.
    """
    asked = _imports(file, content)
    top = package_root(file.parent)
    packages = list(file.parent.relative_to(top).parts)
    dots = max((one.level for one in asked), default=0)
    inside = dots or file.stem == "__init__" or any(_top(one.module) in packages[:1] for one in asked)
    if not packages or not inside:
        packages, top = [], file.parent
    names = packages if packages and file.stem == "__init__" else [*packages, file.stem.replace(".", "_")]
    while dots > len(names) and top.name and "." not in top.name:
        names, top = [top.name, *names], top.parent
    return ".".join(names), top


def _imports(file: Path, content: bytes) -> tuple[imports_in_text.Import, ...]:
    return imports_in_text.imports(file, content) if file.suffix == ".py" else ()


def _wanted(name: str, file: Path, content: bytes) -> Iterator[tuple[str, bool]]:
    """The dotted names that a module may import, each with whether it does so by dots."""
    parts = name.split(".")
    package = parts if file.stem == "__init__" else parts[:-1]
    for level, module, attribute in _imports(file, content):
        base = package[: len(package) + 1 - level] if level else []
        wanted = [*base, *filter(None, [module, attribute if attribute != "*" else None])]
        if wanted:
            yield ".".join(wanted), level > 0


def _walked(wanted: str, folders: Sequence[Path]) -> tuple[Found, dict[str, list[Path]]]:
    """The modules in some folders that a dotted name and its parents stand for, and the folders of namespace packages.

    Nothing is found if all of them are namespace packages.
    """
    found: Found = []
    spaces: dict[str, list[Path]] = {}
    name = ""
    for part in wanted.split("."):
        name = f"{name}.{part}" if name else part
        place, inside = module_at(folders, part)
        if place is not None:
            found.append((name, place))
        elif inside:
            spaces[name] = inside
        if not inside:
            break
        folders = inside
    return (found, spaces) if found else ([], {})


def _on_the_path(wanted: str) -> Found:
    """The modules on Python's own path that a dotted name and its parents stand for, if they may be edited."""
    top, _, rest = wanted.partition(".")
    places = places_on_the_path(top)
    if places is None:
        return []
    files = [place for place in places if place.is_file()]
    if files:
        return [(top, files[0])]
    start = [(top, place) for folder in places if (place := module_at([folder.parent], folder.name)[0])][:1]
    return start + ([(f"{top}.{name}", place) for name, place in _walked(rest, places)[0]] if rest else [])


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _top(name: str) -> str:
    return name.partition(".")[0]
