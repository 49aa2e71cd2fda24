"""Components from a Python file of the user's own: `use: file.py:Name`, in every section and for objectives.

The file is imported when the benchmarks file that names it is read: its class must be known to check the parameters.
This runs its code, by `plan` and `report` as by `run`. (A `torch.nn.Module` is an exception: see `module_file`.)

What such a component is, for the store, is the name of its class, its parameters, and the content of the file and of
the files of its project that it imports. A module that no text shows counts if it is imported with the file: one by a
computed name, or from a folder that the file adds to `sys.path`. Where the files lie does not count, and a `revision`
does not replace the content. Data that the class reads count only if it declares them, as for every component: by
`fingerprint`. A task that runs in another process, or on another computer, imports the file there, and fails if it
cannot be read or has been edited since.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from bnnbench.core.component import Component
from bnnbench.core.user_code.local_modules import attribute_of, module_of, name_in_messages, read_code
from bnnbench.errors import PluginError, closest
from bnnbench.plugins.described import described
from bnnbench.plugins.kinds import KIND

_USE = re.compile(r"(?P<path>.+\.py):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")


def named_file(use: str, folder: str | Path) -> tuple[Path, str] | None:
    """The file and the class that `file.py:Name` names, relative to a folder; None for the name of a component."""
    found = _USE.fullmatch(use)
    # Absolute, for a task may run in another working directory.
    return (Path(folder, found["path"]).absolute(), found["name"]) if found else None


def component_in_file(kind: str, path: Path, name: str, project: str | None = None) -> type[Component]:
    """The class that a file has under a name, a component of a kind. Imports the file.

    The class may be defined there, or imported from elsewhere. `project` is the folder of the benchmarks file. Raises
    `PluginError`, on one line, if the file cannot be read or raises, if it has no such class, or if that is something
    else.
    """
    found = named_in_file(path, name, project)
    if not isinstance(found, type):
        raise PluginError(no_such_name(path, name, _classes(path, project)))
    return checked_class(kind, f"{path}:{name}", found)


def checked_class(kind: str, where: str, found: Any) -> type[Component]:
    """What was found, if it is a class of a component of a kind; `where` names it. Raises `PluginError` if not."""
    if not isinstance(found, type):
        raise PluginError(f"{where} is {described(found)}, not the class of {_one(kind)}")
    if is_component(found, kind):
        return found
    raise PluginError(f"{where} is {described_class(found)}, not {_one(kind)}: it must derive from {_base(kind)}")


def named_in_file(path: Path, name: str, project: str | None = None, what: str = "class") -> Any:
    """What a file has under a name, whatever it is. Imports the file. `what` says in messages what is meant.

    Raises `PluginError`, on one line, if the file cannot be read or raises, or has nothing of that name.
    """
    try:
        return attribute_of(module_of(read_code(path, project)), name)
    except AttributeError as error:
        raise PluginError(no_such_name(path, name, _classes(path, project), what)) from error


def _classes(path: Path, project: str | None) -> list[str]:
    """The names of the classes that a file defines itself."""
    module = module_of(read_code(path, project))
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    return [name for name, value in vars(module).items() if value in own]


def is_component(cls: type, kind: str) -> bool:
    """Whether a class is a component of a kind."""
    return issubclass(cls, Component) and cls.kind == kind


def no_such_name(path: str | Path, name: str, known: list[str], what: str = "class") -> str:
    """The message that a file defines nothing of a name, with what was probably meant among what it defines."""
    close = closest(name, known)
    plural = {"class": "classes"}.get(what, "names")
    hint = f"; did you mean '{close}'?" if close else f" ({plural}: {', '.join(known) or 'none'})"
    return f"{path} defines no {what} '{name}'{hint}"


def described_class(cls: type) -> str:
    """What a class is, in a few words."""
    if issubclass(cls, Component):
        return _one(cls.kind)
    # Without importing torch: if the file has not imported it, the class is no module of it.
    nn = sys.modules.get("torch.nn")
    if nn is not None and issubclass(cls, nn.Module):
        return "a torch.nn.Module"
    bases = ", ".join(name_in_messages(base) for base in cls.__bases__ if base is not object)
    return f"a class that derives from {bases}" if bases else "a class that derives from nothing"


def _base(kind: str) -> str:
    name = f"bnnbench.{KIND[kind].base.partition(':')[2]}"
    return f"torch.nn.Module or {name}" if kind == "network" else name


def _one(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
