"""How the modules of a user's own file import: each file is, with its project, a package that no other file shares.

A module runs the content that was read with the file. An `import helper` in it, at its top or in a function that is
called much later, takes the `helper` of the same folder or project before an installed one, as in a script. A module
that no text shows is read when it is asked for: by a computed name (`importlib.import_module`, `__import__`), or from
a folder that a file of the package has added to `sys.path`, which belongs to this package alone.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from bnnbench.core.user_code.local_imports import LocalCode
from bnnbench.core.user_code.project import is_installed, module_at

packages: dict[str, Package] = {}
"""The packages by their names."""


@dataclass(eq=False)
class Package:
    """A file and the files of its project, as modules below one name."""

    name: str
    code: LocalCode
    read: Mapping[Path, str | None] = field(default_factory=dict)
    """The files that were read while the file was imported, with their checksums."""
    late: dict[Path, bytes] = field(default_factory=dict)
    """The content of the modules that no text shows, as they were read."""
    hidden: Mapping[Path, bytes] = field(default_factory=dict)
    """Those of them that were read while the file was imported."""
    path: list[str] = field(default_factory=list)
    """`sys.path` as the files of the package have left it, with absolute folders."""
    added: list[Path] = field(default_factory=list)
    """The folders that they have added to it."""
    _before: frozenset[str] | None = None
    """The folders of the path of the process, inside of `own_path`."""

    @contextmanager
    def own_path(self) -> Iterator[None]:
        """Keep for the package what the body, and such a body before, adds to `sys.path`.

        The path of the process is restored. A folder of installed distributions stays on it: its modules are imported
        as anywhere.
        """
        given, before = sys.path, list(sys.path)
        self._before = frozenset(map(os.path.abspath, before))
        if self.added:
            sys.path[:] = self.path
        try:
            yield
        finally:
            new = self._look()
            self._before = None
            sys.path = given
            sys.path[:] = [*before, *(str(folder) for folder in new if folder not in self.added)]

    def _look(self) -> list[Path]:
        """Note what the path is now, inside of `own_path`. Gives the folders that are new on it."""
        if self._before is None:
            return []
        self.path = [os.path.abspath(folder) for folder in sys.path]
        new = [Path(folder) for folder in self.path if folder not in self._before]
        self.added = [folder for folder in new if not is_installed(folder)]
        return new

    def has(self, name: str) -> bool:
        """Whether an import of a dotted name, in a module of the package, takes a module of the package."""
        top = name.partition(".")[0]
        if top in self.code.top_names:
            return True
        if top in sys.stdlib_module_names:
            return False
        self._look()
        # The names in the texts were looked for when these were read.
        if top not in self.code.imported_names and self.code.find(name):
            return True
        if not self.added:
            return False
        file, spaces = module_at(map(Path, self.path), top)
        found = [file] if file else spaces[:1]
        return any(place.is_relative_to(folder) for place in found for folder in self.added)

    def place_of(self, name: str, path: Sequence[str] | None) -> tuple[Path | None, list[Path] | None]:
        """The file of a module, or else the folders of a namespace package. `path`: where its parent's modules lie."""
        if name in self.code.spaces:
            return None, self.code.spaces[name]
        if name in self.code.modules:
            return self.code.modules[name], None
        added = [] if "." in name else self.added
        file, folders = module_at([*map(Path, path or ()), *added], name.rpartition(".")[2])
        return file, None if file else folders or None


class Finder:
    """Finds the modules of the packages."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, inner = name.partition(".")
        package = packages.get(top)
        if package is None:
            return None
        file, folders = package.place_of(inner, path) if inner else (None, package.code.folders)
        if folders is not None:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(folder) for folder in folders]
            return spec
        if file is None:
            return None
        if file.suffix != ".py":
            return importlib.util.spec_from_file_location(name, file)
        content = package.code.contents.get(file)
        if content is None:
            content = package.late[file] = file.read_bytes()
        return importlib.util.spec_from_file_location(name, file, loader=_Loader(name, file, content, package))


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs the content that was read. Python's own loader may run compiled code of an earlier content instead."""

    def __init__(self, name: str, file: Path, content: bytes, package: Package) -> None:
        super().__init__(name, str(file))
        self._content, self._package = content, package

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._content, self.path)

    def exec_module(self, module: ModuleType) -> None:
        # A file does not import itself: one called `torch.py` means the installed package by `import torch`.
        code = self._package.code
        own = code.name if self.path == str(code.path) else None
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _Importer(self._package, own)}
        super().exec_module(module)


class _Importer:
    """What the import statements of one module call; `own` is the name that the module does not take for itself."""

    def __init__(self, package: Package, own: str | None) -> None:
        self._package, self._own = package, own

    def __call__(
        self,
        name: str,
        globals: Any = None,  # noqa: A002 - these are the names of the parameters of `__import__`
        locals: Any = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or not self._is_local(name):
            found = builtins.__import__(name, globals, locals, fromlist, level)
            return self._importlib() if found is importlib else found
        module = builtins.__import__(f"{self._package.name}.{name}", globals, locals, fromlist, 0)
        return module if fromlist else sys.modules[f"{self._package.name}.{name.partition('.')[0]}"]

    def _is_local(self, name: str) -> bool:
        top = name.partition(".")[0]
        return top != self._own and top not in sys.builtin_module_names and self._package.has(name)

    def _importlib(self) -> ModuleType:
        """`importlib`, whose `import_module` finds what an import statement of the module finds."""
        module = ModuleType(importlib.__name__, importlib.__doc__)
        vars(module).update(vars(importlib), import_module=self._import_module)
        return module

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        if name.startswith(".") and package:
            name = importlib.util.resolve_name(name, package)
        local = not name.startswith(".") and self._is_local(name)
        return importlib.import_module(f"{self._package.name}.{name}" if local else name, package)
