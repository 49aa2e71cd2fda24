"""The folders that a Python file of the user's own imports from, and which code is installed."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from bnnbench.plugins.entry_points import module_of, name_and_version, plugin_points

MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg")
"""Names of which the root folder of a project holds one."""
SUFFIXES = (
    *importlib.machinery.EXTENSION_SUFFIXES,
    *importlib.machinery.SOURCE_SUFFIXES,
    *importlib.machinery.BYTECODE_SUFFIXES,
)
"""The endings of files that are modules, in the order in which Python looks for them."""


def package_root(folder: Path) -> Path:
    """The folder from which a module in `folder` is imported: the first one upwards that is not a regular package."""
    while is_package(folder) and folder.parent != folder:
        folder = folder.parent
    return folder


def is_package(folder: Path) -> bool:
    """Whether a folder is a regular package."""
    return any((folder / f"__init__{suffix}").is_file() for suffix in SUFFIXES)


def project_folders(file: Path, base: Path | None) -> list[Path]:
    """The folders from which a file imports, nearest first: its own, those around it, and the `src` inside of these.

    The folders around it are those up to the root of its project, which holds one of `MARKS`. `base` is the folder of
    the benchmarks file: it counts too, and so do those around it. Without a mark the folders end there.
    """
    top = package_root(file.parent)
    around = [*_up_to_the_root(top, base), *(_up_to_the_root(base, base) if base else ())]
    sources = [folder / "src" for folder in around if (folder / "src").is_dir()]
    return list(dict.fromkeys([top, *around, *sources]))


def _up_to_the_root(folder: Path, base: Path | None) -> list[Path]:
    chain = [folder, *folder.parents]
    with contextlib.suppress(RuntimeError):  # There may be no home.
        if Path.home() in chain[1:]:
            chain = chain[: chain.index(Path.home())]
    for number, place in enumerate(chain):
        if place.parent != place and any((place / mark).exists() for mark in MARKS):
            return chain[: number + 1]
    return chain[: chain.index(base) + 1] if base in chain else [folder]


@functools.cache
def _installed_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    named = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
    with contextlib.suppress(Exception):
        named += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(dict.fromkeys(place for name in named for place in (Path(name), Path(name).resolve())))


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python itself or to an installed distribution; one installed for editing does not."""
    inside = any(part in ("site-packages", "dist-packages") for part in path.parts)
    return inside or any(path.is_relative_to(folder) for folder in _installed_folders())


def places_on_the_path(top: str) -> list[Path] | None:
    """The folder or file of a top-level module on Python's own path, if it is code that may be edited.

    A list, for a namespace package has several folders. None if there is no such module, and if the module is built in,
    of an installed distribution or of bnnbench. Nothing is imported.
    """
    if top in sys.builtin_module_names or top in sys.stdlib_module_names or top in own_modules():
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None:
        return None
    found = list(spec.submodule_search_locations or ()) or ([spec.origin] if spec.has_location and spec.origin else [])
    places = [place for place in map(Path, found) if place.exists() and not is_installed(place)]
    return places or None


def is_importable(top: str) -> bool:
    """Whether Python finds a top-level module that is no namespace package on its own path. Nothing is imported."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, AttributeError, ValueError):
        return False
    return spec is not None and spec.origin is not None


@functools.cache
def own_modules() -> frozenset[str]:
    """The top-level modules of bnnbench and of its bundled plugins, whose revisions speak for them."""
    points = [point for point in plugin_points() if point.dist and name_and_version(point.dist)[0] == "bnnbench"]
    return frozenset({"bnnbench", *map(_top, filter(None, map(module_of, points)))})


def is_own(path: Path) -> bool:
    """Whether a file belongs to bnnbench, or to a bundled plugin that has been loaded."""
    return any(path.is_relative_to(folder) for folder in _folders(own_modules()))


def folders_of_components() -> list[Path]:
    """The folders of bnnbench, and of the plugins that have been loaded."""
    return _folders(component_modules())


def _folders(modules: Iterable[str]) -> list[Path]:
    loaded = (sys.modules.get(name) for name in sorted(modules))
    return [Path(folder) for module in loaded for folder in getattr(module, "__path__", ())]


@functools.cache
def component_modules() -> frozenset[str]:
    """The top-level modules that may define components: bnnbench, and those of the installed plugins."""
    return frozenset({"bnnbench", *map(_top, filter(None, map(module_of, plugin_points())))})


def _top(module: str) -> str:
    return module.partition(".")[0]


def module_at(folders: Iterable[Path], name: str) -> tuple[Path | None, list[Path]]:
    """The file of a module in one of these folders, and where its own modules lie; Python's order of precedence.

    The file is None for a namespace package, and the list is empty for a plain module. Both are empty if there is none.
    """
    spaces = []
    for folder in folders:
        for place in _files_of(folder, name):
            return place, [folder / name] if place.parent == folder / name else []
        if (folder / name).is_dir():
            spaces.append(folder / name)
    return None, spaces


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    inside = (folder / name / f"__init__{suffix}" for suffix in SUFFIXES)
    beside = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    yield from (place for place in (*inside, *beside) if place.is_file())
