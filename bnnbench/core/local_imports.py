"""A Python file and the files of its own folder that it imports: which files those are, and their checksum."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalCode:
    """The content of a Python file, and of the files of its own folder that it imports, at the time of reading.

    An import counts wherever it stands in the text. One by a name that is computed is not seen. Nothing is run.
    """

    path: Path
    """The file, with links resolved."""
    contents: dict[Path, bytes]
    """The content of each file, the first one's included."""

    @classmethod
    def read(cls, path: str | Path) -> LocalCode:
        """The content as it is now. Raises `OSError` for a file that cannot be read."""
        start = Path(path).resolve()
        contents = {start: start.read_bytes()}
        unseen = [start]
        while unseen:
            file = unseen.pop()
            for name in _imported_names(file, contents[file], start.parent):
                for place in _places(start.parent, name):
                    if place not in contents:
                        contents[place] = place.read_bytes()
                        unseen.append(place)
        return cls(start, contents)

    @property
    def folder(self) -> Path:
        """The folder of the file, from which it imports."""
        return self.path.parent

    @property
    def imported(self) -> list[Path]:
        """The files that the file imports from its folder, directly or through one another, sorted."""
        return sorted(self.contents.keys() - {self.path})

    @property
    def tree(self) -> ast.Module:
        """The syntax tree of the file. Raises `ValueError` if it is not Python."""
        return _tree(self.path, self.contents[self.path])

    @functools.cached_property
    def checksum(self) -> str:
        """The sha256 of the file or, if it imports others, of the checksums of all and of the others' names.

        The names are relative to the folder: files that move together keep their checksum.
        """
        own = _sum(self.contents[self.path])
        if not self.imported:
            return own
        listed = [f"{_sum(self.contents[file])}  {file.relative_to(self.folder).as_posix()}" for file in self.imported]
        return hashlib.sha256("\n".join([own, *listed]).encode()).hexdigest()

    def module_file(self, name: str) -> tuple[Path, bytes] | None:
        """The Python file of the folder that is the module of a dotted name, and its content; None if not read."""
        base = self.folder.joinpath(*name.split("."))
        for place in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            content = self.contents.get(_without_links(place, self.folder))
            if content is not None:
                return place, content
        return None


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `OSError` where it cannot be read, and `ValueError` where it is not Python."""
    return _tree(path, path.read_bytes())


def _places(folder: Path, name: str) -> Iterator[Path]:
    """The files in a folder that a dotted name and its parents may stand for."""
    for parent in itertools.accumulate(name.split("."), lambda one, other: f"{one}/{other}"):
        for suffix in importlib.machinery.all_suffixes():
            for place in (folder / parent / f"__init__{suffix}", folder / f"{parent}{suffix}"):
                if place.is_file():
                    yield _without_links(place, folder)


def _without_links(place: Path, folder: Path) -> Path:
    # A link to a file elsewhere keeps the name that it has in the folder.
    resolved = place.resolve()
    return resolved if resolved.is_relative_to(folder) else place


def _imported_names(file: Path, content: bytes, folder: Path) -> Iterator[str]:
    """The dotted names that a file may import, seen from the folder."""
    try:
        tree = _tree(file, content) if file.suffix == ".py" else ast.Module([], [])
    except ValueError:
        return  # Importing the file raises the error.
    package = file.relative_to(folder).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level], *filter(None, [node.module])] if node.level else []
            name = ".".join(base) if node.level else str(node.module)
            yield from (f"{name}.{alias.name}".lstrip(".") for alias in node.names)


def _tree(path: Path, content: bytes) -> ast.Module:
    try:
        return ast.parse(content, path.name)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is nested too deep to be read") from error


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
