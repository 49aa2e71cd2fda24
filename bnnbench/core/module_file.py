"""Networks from a Python file of the user's own: `use: file.py:Name`, for a class or function that gives a module."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench.core.called_network import CalledNetwork
from bnnbench.core.component import Component
from bnnbench.core.component_file import component_in_file, described_class, is_component, named_in_file, no_such_name
from bnnbench.core.input_path import InputPath
from bnnbench.core.network import Network
from bnnbench.core.network_call import network_from
from bnnbench.core.user_code import imports_in_text
from bnnbench.core.user_code.local_imports import LocalCode
from bnnbench.core.user_code.local_modules import attribute_of, module_of, own_path, read_code
from bnnbench.core.user_code.project import component_modules
from bnnbench.errors import NetworkNotMade, PluginError, one_line

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class ModuleFile(CalledNetwork):
    """A class of a Python file that derives from `torch.nn.Module`, or anything else in it that gives a module.

    That may be a function, a class method, a partial object, or a module itself, however it got its name. What is
    called gets `arguments` as keywords; the arguments of `network_call.SHAPES` and `COUNTS` are filled in from the data
    where its signature names them. The file is imported anew each time the network is built. What it is, for the store,
    is its content and that of the files that it imports and that are not installed, directly or through one another
    (`import layers`). A module that no text shows, such as one by a computed name, counts as a file that is read
    (`dependencies`). Raises `PluginError` if the network cannot be made.
    """

    revision: ClassVar[int | None] = 1
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path", "project", "outputs"})

    path: InputPath = ""
    """The file."""
    project: InputPath = Field(default="", exclude=True)
    """The folder of the benchmarks file. The file may import from there, and from the project around it."""

    @model_validator(mode="after")
    def _there_is_such_a_name(self) -> Self:
        path = Path(self.path)
        try:
            tree = imports_in_text.parsed(path, path.read_bytes())
        except OSError as error:
            raise ValueError(f"{self.path}: {(error.strerror or 'cannot be read').lower()}") from error
        names = imports_in_text.defined(tree)
        if self.name.partition(".")[0] not in names and not imports_in_text.may_define_more(tree):
            raise ValueError(no_such_name(self.path, self.name, list(names), "class or function"))
        return self

    def rebuilt(self) -> Self:
        """As `Component.rebuilt`. Raises `PluginError` if the file cannot be read here."""
        read_code(self.path)
        return super().rebuilt()

    def fingerprint(self) -> str:
        """The sha256 of the file or, where it imports others, of the names and checksums of all; and the outputs."""
        return self.with_outputs(LocalCode.read(self.path, self.project).checksum)

    def build(self, data: Data) -> nn.Module:
        # Imported anew: a file that draws random numbers while it is imported then gives the same network every time.
        module = module_of(read_code(self.path, self.project), fresh=True)
        where = f"{self.path}:{self.name}"
        try:
            target = attribute_of(module, self.name)
        except AttributeError as error:
            names = [name for name in vars(module) if not name.startswith("_")]
            raise NetworkNotMade(no_such_name(self.path, self.name, names, "class or function")) from error
        with own_path(module):
            return network_from(target, where, self.arguments, data)


def class_named(kind: str, path: Path, name: str, project: str | None = None) -> type[Component]:
    """The class of a kind that `use: file.py:Name` names in a section; `ModuleFile` for a plain `torch.nn.Module`.

    `project` is the folder of the benchmarks file. Raises `PluginError`, on one line, if there is no such class.
    """
    if kind == "network":
        return network_named(path, name, project)
    return component_in_file(kind, path, name, project)


def network_named(path: Path, name: str, project: str | None = None) -> type[Network]:
    """`ModuleFile` for what gives a plain module, and the class itself if it derives from `Network`.

    A file is imported only if its text leaves open which of the two it is: torch takes seconds to import, and such a
    module is needed when it is built, not before. Raises `PluginError`, on one line, for any other class, and for a
    file that cannot be read or imported.
    """
    code = read_code(path, project)
    try:
        if _is_plain(code, name):
            return ModuleFile
    except ValueError as error:
        raise PluginError(one_line(str(error))) from error
    found = named_in_file(path, name, project, "class or function")
    if not isinstance(found, type):
        if callable(found) or is_component(type(found), "network"):
            return ModuleFile
        raise PluginError(f"{path}:{name} is {described_class(type(found))}, not a network")
    # Without importing torch: if the file has not, the class is no module of it.
    nn = sys.modules.get("torch.nn")
    if nn is not None and issubclass(found, nn.Module) and not is_component(found, "network"):
        return ModuleFile
    return component_in_file("network", path, name, project)  # type: ignore[return-value]


def _is_plain(code: LocalCode, name: str) -> bool:
    """Whether the text of a file shows that a name of it is no class of a component."""
    tree = code.tree
    if not code.imported_names & component_modules():
        return True  # If it gives a component all the same, that is built when it is called.
    statement = imports_in_text.defined(tree).get(name)
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    bases = set(imports_in_text.bases_elsewhere(tree, name))
    return any(base.startswith("torch.nn.") for base in bases) and not any(
        base.startswith("bnnbench") for base in bases
    )
