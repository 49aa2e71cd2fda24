"""Networks from a Python file of the user's own: `use: file.py:Name`, for a `torch.nn.Module`."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import JsonValue, model_validator

from bnnbench.core.component import Component, InputPath
from bnnbench.core.component_file import class_in_file, component_in_file, is_component, no_such_class
from bnnbench.core.local_imports import LocalCode, parsed
from bnnbench.core.local_modules import module_of, read_code
from bnnbench.core.network import Network
from bnnbench.errors import PluginError, one_line

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class ModuleFile(Network):
    """A class of a Python file that derives from `torch.nn.Module`.

    It is called with `arguments` as keywords; `shape` and `classes` are filled in from the data where its signature
    names them. The file is imported anew each time the network is built. What it is, for the store, is its content
    and that of the files that it imports from its own folder, directly or through one another (`import layers`, not a
    name that is computed). Raises `PluginError` if the class cannot be made.
    """

    revision: ClassVar[int | None] = 1
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path"})

    path: InputPath = ""
    """The file."""
    name: str = ""
    """The class."""
    arguments: dict[str, JsonValue] = {}
    """Keyword arguments of the class."""

    @model_validator(mode="after")
    def _there_is_such_a_class(self) -> Self:
        try:
            names = _classes(parsed(Path(self.path)))
        except OSError as error:
            raise ValueError(f"{self.path}: {(error.strerror or 'cannot be read').lower()}") from error
        if self.name not in names:
            raise ValueError(no_such_class(self.path, self.name, list(names)))
        return self

    def rebuilt(self) -> Self:
        """As `Component.rebuilt`. Raises `PluginError` if the file cannot be read here."""
        read_code(self.path)
        return super().rebuilt()

    def fingerprint(self) -> str:
        """The sha256 of the file or, where it imports others from beside it, of the names and checksums of all."""
        return LocalCode.read(self.path).checksum

    def build(self, data: Data) -> nn.Module:
        from torch import nn

        where = f"{self.path}:{self.name}"
        # Imported anew: a file that draws random numbers while it is imported then gives the same network every time.
        made = getattr(module_of(read_code(self.path), fresh=True), self.name)
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            raise PluginError(f"{where} is not a torch.nn.Module")
        known: dict[str, Any] = {"shape": data.shape, "classes": data.classes}
        wanted = inspect.signature(made).parameters
        arguments = {name: value for name, value in known.items() if name in wanted} | self.arguments
        try:
            return made(**arguments)
        except TypeError as error:
            raise PluginError(f"{where}: {error}") from error


def class_named(kind: str, path: Path, name: str) -> type[Component]:
    """The class of a kind that `use: file.py:Name` names in a section; `ModuleFile` for a plain `torch.nn.Module`.

    Raises `PluginError`, on one line, if there is no such class.
    """
    return network_named(path, name) if kind == "network" else component_in_file(kind, path, name)


def network_named(path: Path, name: str) -> type[Network]:
    """The class of that name which a file defines if it derives from `Network`, `ModuleFile` if from `torch.nn.Module`.

    A file is imported only if its text leaves open whether the class is a plain `torch.nn.Module`: torch takes seconds
    to import, and such a module is needed when it is built, not before. Raises `PluginError`, on one line, for any
    other class, and for a file that cannot be read or imported.
    """
    try:
        bases = set(_outside_bases(read_code(path).tree, name))
    except ValueError as error:
        raise PluginError(one_line(str(error))) from error
    if any(base.startswith("torch.nn.") for base in bases) and not any(base.startswith("bnnbench") for base in bases):
        return ModuleFile
    found = class_in_file(path, name)
    # Without importing torch: if the file has not, the class is no module of it.
    nn = sys.modules.get("torch.nn")
    if nn is not None and issubclass(found, nn.Module) and not is_component(found, "network"):
        return ModuleFile
    return component_in_file("network", path, name)  # type: ignore[return-value]


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _outside_bases(tree: ast.Module, name: str) -> Iterator[str]:
    """The dotted names of the classes from elsewhere that a class of a file derives from, through classes of the file.

    What is no plain name is given as it is written.
    """
    classes, imported = _classes(tree), dict(_imported_as(tree))
    unseen, seen = [name], set()
    while unseen:
        current = unseen.pop()
        if current in seen or current not in classes:
            continue
        seen.add(current)
        for base in classes[current].bases:
            head, dot, rest = ast.unparse(base).partition(".")
            if not dot and head in classes:
                unseen.append(head)
            else:
                yield f"{imported.get(head, head)}{dot}{rest}"


def _imported_as(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that an import of a file binds, and what it stands for: `nn` for `torch.nn`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
