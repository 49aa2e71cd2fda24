"""A network from a module of the user's own: `use: file.py:Class`."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import JsonValue, model_validator

from bnnbench.core.beside import files_beside, importable_beside, parsed
from bnnbench.core.component import InputPath
from bnnbench.core.network import Network
from bnnbench.errors import PluginError, closest

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class ModuleFile(Network):
    """A class of a Python file that derives from `torch.nn.Module`.

    It is called with `arguments` as keywords; `shape` and `classes` are filled in from the data where its signature
    names them. The file is imported when the network is built, never before; what it is, for the store, is its content
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
            tree = parsed(Path(self.path))
        except OSError as error:
            raise ValueError(f"{self.path}: {(error.strerror or 'cannot be read').lower()}") from error
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        if self.name not in names:
            close = closest(self.name, names)
            hint = f"; did you mean '{close}'?" if close else f" (classes: {', '.join(names) or 'none'})"
            raise ValueError(f"{self.path} defines no class '{self.name}'{hint}")
        return self

    def fingerprint(self) -> str:
        """The sha256 of the file or, where it imports others from beside it, of the names and checksums of all."""
        path = Path(self.path).resolve()
        own, others = _sum(path), files_beside(path)
        if not others:
            return own
        listed = [f"{_sum(file)}  {file.relative_to(path.parent).as_posix()}" for file in others]
        return hashlib.sha256("\n".join([own, *listed]).encode()).hexdigest()

    def build(self, data: Data) -> nn.Module:
        with importable_beside(Path(self.path)):
            return self._built(data)

    def _built(self, data: Data) -> nn.Module:
        from torch import nn

        where = f"{self.path}:{self.name}"
        made = getattr(_imported(Path(self.path)), self.name)
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            raise PluginError(f"{where} is not a torch.nn.Module")
        known: dict[str, Any] = {"shape": data.shape, "classes": data.classes}
        wanted = inspect.signature(made).parameters
        arguments = {name: value for name, value in known.items() if name in wanted} | self.arguments
        try:
            return made(**arguments)
        except TypeError as error:
            raise PluginError(f"{where}: {error}") from error


def _imported(path: Path) -> Any:
    # A name of its own, so that two files called net.py do not get in each other's way.
    name = f"bnnbench_file_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"{path}: {type(error).__name__}: {error}") from error
    return module


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
