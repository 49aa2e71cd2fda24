"""What `use` names in a section of a benchmarks file: a registered component, or code of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.component_file import checked_class, named_file
from bnnbench.core.imported_network import ImportedNetwork, may_be_imported, named_module, object_in
from bnnbench.core.module_file import ModuleFile, class_named
from bnnbench.core.user_code.local_imports import module_in_project
from bnnbench.errors import PluginError, UnknownComponent
from bnnbench.plugins.installed import registry


def used(kind: str, use: str, folder: Path, parameters: dict[str, Any]) -> tuple[type[Component], dict[str, Any]]:
    """The class that `use` names for a kind, and its parameters from those of the file. `folder` is the file's.

    A text is, in this order, `file.py:Name`, a registered name, and `package.module:Name`: a file of the project, or
    else a module that Python can import. Raises `UnknownComponent` and `PluginError`, on one line.
    """
    file = named_file(use, folder)
    if file is not None:
        return _in_file(kind, *file, folder, parameters)
    try:
        return registry().find(kind, use).load(), parameters
    except UnknownComponent as error:
        other = Path(folder, use.rpartition(":")[0])
        if ":" in use and other.is_file():
            raise PluginError(f"{other} is no .py file: put what '{use}' names into one") from error
        place = named_module(use)
        if place is None or place[0] in {entry.distribution for entry in registry().entries}:
            raise
        module, name = place
        if (path := module_in_project(module, folder.absolute())) is not None:
            return _in_file(kind, path, name, folder, parameters)
        if not may_be_imported(module):
            top = module.partition(".")[0]
            raise UnknownComponent(f"{error}; and no module '{top}' is in the project or installed") from error
    if kind == "network":  # If it is a component all the same, that is built when it is called.
        return ImportedNetwork, ImportedNetwork.parameters_from({"module": module, "name": name}, parameters)
    return checked_class(kind, use, object_in(module, name)), parameters


def _in_file(
    kind: str, path: Path, name: str, folder: Path, parameters: dict[str, Any]
) -> tuple[type[Component], dict[str, Any]]:
    model = class_named(kind, path, name, str(folder))
    if model is not ModuleFile:
        return model, parameters
    place = {"path": str(path), "name": name, "project": str(folder)}
    return model, ModuleFile.parameters_from(place, parameters)
