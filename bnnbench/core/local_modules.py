"""Import a Python file of the user's own, with the files of its project, as modules that no other file shares.

The modules of a file are a package of their own. Its name is made of the file's path and of the content of all files,
so two files of the same name, or two versions of one file, never share a module. The modules run the content whose
checksum was taken, not what the files hold by then. An `import helper` in such a module, at its top or in a function
that is called much later, takes the `helper` of the same folder or project before an installed one, as in a script.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import pickle
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from bnnbench.core.local_imports import LocalCode
from bnnbench.core.read_files import unwatched, watched
from bnnbench.errors import PluginError, StoreError, message_of, one_line

_PREFIX = "bnnbench_file_"
_packages: dict[str, LocalCode] = {}
"""What each package was imported from, by its name."""
_read_by: dict[str, Mapping[Path, str]] = {}
"""The files that each package read while it was imported, with their checksums."""
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
            return sys.modules[name]
        if _Finder not in sys.meta_path:
            sys.meta_path.insert(0, _Finder)
        _packages[package] = code
        try:
            with contextlib.redirect_stdout(sys.stderr), watched() as read:
                module = importlib.import_module(name)
            _read_by[package] = read
            return module
        except (Exception, SystemExit) as error:
            _forget(package)
            raise PluginError(_import_problem(code, package, error)) from error


def attribute_of(module: ModuleType, name: str) -> Any:
    """What a module has under a dotted name. Raises `AttributeError` if it has no such thing."""
    found = functools.reduce(getattr, name.split("."), module)
    if isinstance(found, type) and found.__module__.partition(".")[0] in _packages and found.__qualname__ != name:
        _places[found] = module.__name__, name
    return found


def code_behind(cls: type) -> LocalCode | None:
    """The file that a class was imported from by `module_of`, with its neighbours; None for any other class."""
    return _packages.get(cls.__module__.partition(".")[0])


def read_by_the_file_of(cls: type) -> Mapping[Path, str]:
    """The files that were read while the file of a class was imported, with their checksums; none for other classes."""
    return _read_by.get(cls.__module__.partition(".")[0], {})


def local_name(cls: type) -> str:
    """`Name` for a class of the file itself, `helper:Name` for one of the module `helper` beside it."""
    code, module = code_behind(cls), cls.__module__.partition(".")[2]
    return cls.__qualname__ if code is None or module == code.name else f"{module}:{cls.__qualname__}"


def name_in_messages(cls: type) -> str:
    """The name of a class in messages: `/folder/file.py:Name` if it is from a file, else `package.module.Name`."""
    code = code_behind(cls)
    return f"{code.path}:{local_name(cls)}" if code else f"{cls.__module__}.{cls.__qualname__}"


def check_unchanged(cls: type) -> None:
    """Raise `StoreError` if the file of a class is not what it was when the class was imported.

    Raises `PluginError` if the file cannot be read any more. Nothing is checked for a class that is from no file.
    """
    code = code_behind(cls)
    if code is not None and read_code(code.path, code.base).checksum != code.checksum:
        raise _edited(code.path, local_name(cls))


_imported: dict[Path, bytes] = {}
"""The content of each file that Python imports under its own name, when this process first asked for it."""


def check_not_edited(contents: Mapping[Path, bytes]) -> None:
    """Raise `PluginError` if a file that Python imports under its own name has changed since this process did so.

    Python imports such a file once: the outcome of its old content would be kept as that of the new one.
    """
    for file, content in contents.items():
        if _imported.setdefault(file, content) != content:
            raise PluginError(f"{file} has been edited since this process imported it: start a new one")


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


def _import_problem(code: LocalCode, package: str, error: BaseException) -> str:
    """The message that a file cannot be imported, on one line."""
    told = message_of(error)
    # An error of the file's own class names the file already.
    place = "" if told.startswith(str(code.path)) else f"{code.path}: "
    return one_line(f"{place}{told}".replace(f"{package}.", ""))


def _edited(path: Path, name: str) -> StoreError:
    changed = "the file, or one that it imports from its project, has been edited since"
    return StoreError(f"{path}:{name} is not what the run was planned with: {changed}")


def _digest(code: LocalCode) -> str:
    return hashlib.sha256(f"{code.path}\n{code.checksum}".encode(errors="backslashreplace")).hexdigest()[:16]


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    _packages.pop(package, None)
    _read_by.pop(package, None)


class _Finder:
    """Finds the modules of the packages above, among what was read; extension modules are left to Python's finder."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, inner = name.partition(".")
        code = _packages.get(package)
        if code is None:
            return None
        folders = code.spaces.get(inner) if inner else code.folders
        if folders is not None:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(folder) for folder in folders]
            return spec
        file = code.modules.get(inner)
        if file is None or file.suffix != ".py":
            return None
        return importlib.util.spec_from_file_location(
            name, file, loader=_Loader(name, file, code.contents[file], package)
        )


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs the content that was read. Python's own loader may run compiled code of an earlier content instead."""

    def __init__(self, name: str, file: Path, content: bytes, package: str) -> None:
        super().__init__(name, str(file))
        self._content, self._package = content, package

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._content, self.path)

    def exec_module(self, module: ModuleType) -> None:
        code = _packages[self._package]
        # A file does not import itself: one called `torch.py` means the installed package by `import torch`.
        local = code.top_names - ({code.name} if self.path == str(code.path) else set())
        importer = functools.partial(_import, self._package, local - set(sys.builtin_module_names))
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": importer}
        super().exec_module(module)


def _import(
    package: str,
    local: frozenset[str],
    name: str,
    globals: Any = None,  # noqa: A002 - these are the names of the parameters of `__import__`
    locals: Any = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """What an import statement of a file's modules calls."""
    top = name.partition(".")[0]
    if level or top not in local:
        return builtins.__import__(name, globals, locals, fromlist, level)
    module = builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
    return module if fromlist else sys.modules[f"{package}.{top}"]
