"""Import a Python file of the user's own, with the files of its project, as modules that no other file shares.

The modules of a file are a package of their own (`local_importer`). Its name is made of the file's path and of the
content of all files, so two files of the same name, or two versions of one file, never share a module. The modules run
the content whose checksum was taken, not what the files hold by then.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

from bnnbench.core.user_code.local_importer import Finder, Package, packages
from bnnbench.core.user_code.local_imports import LocalCode
from bnnbench.core.user_code.read_files import checksum_of, unwatched, watched
from bnnbench.errors import PluginError, StoreError, message_of, one_line
from bnnbench.plugins.signals import contained

_PREFIX = "bnnbench_file_"
_importing = threading.RLock()
_places: dict[type, tuple[str, str]] = {}
"""The module and the dotted name by which a class was found, where its own name does not lead to it."""


def read_code(path: str | Path, base: str | Path | None = None) -> LocalCode:
    """The content of a file and of those that it imports from its project, which `base` is a folder of.

    Raises `PluginError` if one is unreadable.
    """
    try:
        with unwatched():
            return LocalCode.read(path, base)
    except OSError as error:
        raise PluginError(f"{error.filename or path}: {(error.strerror or str(error)).lower()}") from error


def module_of(code: LocalCode, *, fresh: bool = False) -> ModuleType:
    """The module of a file: the one imported before if there is one, unless `fresh`.

    A fresh module replaces the last fresh one of the same content; it is never the module of a component's class. What
    the file prints while it is imported goes to standard error. Raises `PluginError`, on one line, if the file raises.
    """
    package = _PREFIX + ("fresh_" if fresh else "") + _digest(code)
    name = f"{package}.{code.name}"
    check_not_edited({file: code.contents[file] for file in code.elsewhere.values()})
    with _importing:
        if fresh:
            _forget(package)
        elif name in sys.modules:
            if edited := _edited_since(packages[package]):
                raise PluginError(_start_anew(edited))
            return sys.modules[name]
        if Finder not in sys.meta_path:
            sys.meta_path.insert(0, Finder)
        made = packages[package] = Package(package, code)
        try:
            with contextlib.redirect_stdout(sys.stderr), watched() as made.read, made.own_path(), contained():
                module = importlib.import_module(name)
        except Exception as error:
            _forget(package)
            raise PluginError(_import_problem(made, error)) from error
        made.hidden = dict(made.late)
        return module


def own_path(module: ModuleType) -> AbstractContextManager[None]:
    """A context in which what a module from `module_of` adds to `sys.path` is its own (`local_importer.Package`)."""
    return packages[module.__name__.partition(".")[0]].own_path()


def attribute_of(module: ModuleType, name: str) -> Any:
    """What a module has under a dotted name. Raises `AttributeError` if it has no such thing."""
    found = functools.reduce(getattr, name.split("."), module)
    if isinstance(found, type) and found.__module__.partition(".")[0] in packages and found.__qualname__ != name:
        _places[found] = module.__name__, name
    return found


def code_behind(cls: type) -> LocalCode | None:
    """The file that a class was imported from by `module_of`, with its neighbours; None for any other class."""
    package = _package_of(cls)
    return package.code if package else None


def _package_of(cls: type) -> Package | None:
    return packages.get(cls.__module__.partition(".")[0])


def read_by_the_file_of(cls: type) -> Mapping[Path, str | None]:
    """The files that were read while the file of a class was imported, with their checksums; none for other classes."""
    package = _package_of(cls)
    return package.read if package else {}


def local_name(cls: type) -> str:
    """`Name` for a class of the file itself, `helper:Name` for one of the module `helper` beside it."""
    code, module = code_behind(cls), cls.__module__.partition(".")[2]
    return cls.__qualname__ if code is None or module == code.name else f"{module}:{cls.__qualname__}"


def name_in_messages(cls: type) -> str:
    """The name of a class in messages: `/folder/file.py:Name` if it is from a file, else `package.module.Name`."""
    code = code_behind(cls)
    return f"{code.path}:{local_name(cls)}" if code else f"{cls.__module__}.{cls.__qualname__}"


def checksum_of_code(cls: type) -> str | None:
    """The checksum of the files behind a class that was imported by `module_of`; None for any other class.

    Modules count that no text shows, if they were read while the file was imported.
    """
    package = _package_of(cls)
    if package is None:
        return None
    if not package.hidden:
        return package.code.checksum
    folder = package.code.folder
    named = sorted((os.path.relpath(file, folder), content) for file, content in package.hidden.items())
    listed = [f"{_sum(content)}  {name}" for name, content in named]
    return _sum("\n".join([package.code.checksum, *listed]).encode(errors="backslashreplace"))


def check_unchanged(cls: type) -> None:
    """Raise `StoreError` if the file of a class is not what it was when the class was imported.

    Raises `PluginError` if the file cannot be read any more. Nothing is checked for a class that is from no file.
    """
    package = _package_of(cls)
    if package is None:
        return
    if read_code(package.code.path, package.code.base).checksum != package.code.checksum or _edited_since(package):
        raise _edited(package.code.path, local_name(cls))


def _edited_since(package: Package) -> Path | None:
    """The first module of a package that no text shows and that has another content now; None if there is none."""
    return next((file for file, content in package.hidden.items() if checksum_of(file) != _sum(content)), None)


_imported: dict[Path, bytes] = {}
"""The content of each file that Python imports under its own name, when this process first asked for it."""


def check_not_edited(contents: Mapping[Path, bytes]) -> None:
    """Raise `PluginError` if a file that Python imports under its own name has changed since this process did so.

    Python imports such a file once: the outcome of its old content would be kept as that of the new one.
    """
    for file, content in contents.items():
        if _imported.setdefault(file, content) != content:
            raise PluginError(_start_anew(file))


def _start_anew(file: Path) -> str:
    return f"{file} has been edited since this process imported it: start a new one"


def reduced(instance: Any, code: LocalCode, protocol: int) -> tuple[Any, ...]:
    """What pickles an instance of a class from a file: the file's path and checksum, the class, and the state.

    The state is packed apart: whatever of the file it refers to can be unpickled only when the file is imported.
    """
    cls = type(instance)
    place = (
        str(code.path),
        code.base and str(code.base),
        code.checksum,
        *_places.get(cls, (cls.__module__, cls.__qualname__)),
    )
    return _restored, (*place, pickle.dumps(instance.__getstate__(), protocol))


def _restored(path: str, base: str | None, checksum: str, module: str, name: str, state: bytes) -> Any:
    """The instance that `reduced` packed.

    Raises `PluginError` if the file cannot be read here or imported, and `StoreError` if it is another one by now.
    """
    code = read_code(path, base)
    if code.checksum != checksum:
        raise _edited(code.path, name)
    module_of(code)
    cls: Any = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    instance = cls.__new__(cls)
    instance.__setstate__(pickle.loads(state))
    return instance


def _import_problem(package: Package, error: Exception) -> str:
    """The message that a file cannot be imported, on one line, with the line where that is."""
    path, told = package.code.path, message_of(error).replace(f"{package.name}.", "")
    if isinstance(error.__cause__, SystemExit):
        told += ": a file must not end the program while it is imported; put that below `if __name__ == '__main__':`"
    place = _line_of(package, error) or _line_of(package, error.__cause__)
    # An error of the file's own class names the file already, and one of its syntax the line.
    return one_line(
        ("" if told.startswith(str(path)) else f"{path}: ")
        + told
        + (f" ({place})" if place and not isinstance(error, SyntaxError) else "")
    )


def _line_of(package: Package, error: BaseException | None) -> str | None:
    """The innermost line of the package's files where an error was raised."""
    frames = list(traceback.walk_tb(error.__traceback__)) if error else []
    files = {str(file) for file in (*package.code.contents, *package.late)}
    lines = [f"{frame.f_code.co_filename}:{line}" for frame, line in frames if frame.f_code.co_filename in files]
    return lines[-1] if lines else None


def _edited(path: Path, name: str) -> StoreError:
    changed = "the file, or one that it imports from its project, has been edited since"
    return StoreError(f"{path}:{name} is not what the run was planned with: {changed}")


def _digest(code: LocalCode) -> str:
    return _sum(f"{code.path}\n{code.checksum}".encode(errors="backslashreplace"))[:16]


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    packages.pop(package, None)
