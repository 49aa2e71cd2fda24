"""What a Python file imports from its own folder: which files those are, and how they are imported."""

from __future__ import annotations

import ast
import importlib.machinery
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bnnbench.errors import PluginError


def files_beside(path: Path) -> list[Path]:
    """The files of its own folder that a Python file imports, those that they import, and so on; sorted by name.

    Nothing is run: an import counts wherever it stands in the text, and one by a name that is computed is not seen.
    Raises `OSError` for a file that cannot be read.
    """
    start = path.resolve()
    found, left = {start}, [start]
    while left:
        for name in _imported_names(left.pop(), start.parent):
            new = set(_places(start.parent, name)) - found
            found |= new
            left += new
    return sorted(found - {start})


@contextmanager
def importable_beside(path: Path) -> Iterator[None]:
    """As for a script: within, what lies beside the file can be imported. Afterwards none of it is known any more, for
    another file may have other neighbours of the same names.

    Raises `PluginError` where the process has another module of such a name: that would be taken instead.
    """
    folder, files = path.resolve().parent, [path.resolve(), *files_beside(path)]
    names = {name for file in files for name in _module_names(file.relative_to(folder))}
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    for name, module in before.items():
        where = getattr(module, "__file__", None)
        if where and Path(where).resolve() not in files:
            raise PluginError(f"{path} imports {name} from beside it, but here that is {where}: rename one of the two")
    sys.path.insert(0, str(folder))
    # A file that was written a moment ago may be missing from what Python remembers of the folder.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in names - before.keys():
            sys.modules.pop(name, None)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `OSError` where it cannot be read, and `ValueError` where it is not Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is nested too deep to be read") from error


def _imported_names(file: Path, folder: Path) -> Iterator[str]:
    """The dotted names that a file may import, seen from the folder."""
    try:
        tree = parsed(file) if file.suffix == ".py" else ast.Module([], [])
    except ValueError:
        return  # It says so itself when it is imported.
    package = file.relative_to(folder).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level], *filter(None, [node.module])] if node.level else []
            name = ".".join(base) if node.level else str(node.module)
            yield from (f"{name}.{alias.name}".lstrip(".") for alias in node.names)


def _places(folder: Path, name: str) -> Iterator[Path]:
    """The files in a folder that a dotted name and its parents may stand for."""
    for parent in itertools.accumulate(name.split("."), lambda one, other: f"{one}/{other}"):
        for suffix in importlib.machinery.all_suffixes():
            for place in (folder / f"{parent}{suffix}", folder / parent / f"__init__{suffix}"):
                if place.is_file():
                    yield place.resolve()


def _module_names(file: Path) -> list[str]:
    """`a` and `a.b` for a/b.py: the modules that come with a file, by its path from the folder."""
    parts = (*file.parent.parts, file.name.partition(".")[0])
    return list(itertools.accumulate((part for part in parts if part != "__init__"), lambda one, two: f"{one}.{two}"))
