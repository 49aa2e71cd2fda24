"""Load the installed plugins, each by itself, so that a broken one cannot affect the others.

Pluggy alone lets one plugin's ImportError end all loading, ignores a misspelt hook without a message, and picks one of
two distributions of the same name. Here every entry point has a plugin manager of its own. A plugin that raises
anything is quarantined with the reason; so is one that raises `KeyboardInterrupt` or `SystemExit` itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import metadata
from typing import NamedTuple

import pluggy

from bnnbench.errors import PluginError, closest, message_of, one_line
from bnnbench.plugins import hookspecs
from bnnbench.plugins.entry_points import GROUP, module_of, name_and_version, plugin_points
from bnnbench.plugins.host_kept import host_kept
from bnnbench.plugins.registrar import Entry, Registrar
from bnnbench.plugins.registry import Quarantined, Registry
from bnnbench.plugins.signals import contained

ALLOW = "BNNBENCH_PLUGINS"
BLOCK = "BNNBENCH_BLOCK"
"""The environment variables that limit which plugins are loaded."""


def load_registry(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
    """The registry of the given entry points, by default of all installed plugins.

    The environment variable `BNNBENCH_PLUGINS=a,b` loads only these plugins; `BNNBENCH_BLOCK=a,b` loads all others. A
    name is that of an entry point or of a distribution: `bnnbench` stands for all bundled plugins.
    """
    points = plugin_points() if entry_points is None else entry_points
    entries: list[Entry] = []
    quarantined: list[Quarantined] = []
    for plugin in _permitted(points):
        registrar = Registrar(plugin.point.name, plugin.distribution, plugin.version)
        try:
            with contained(), host_kept():
                _register(plugin.point, registrar)
        except Exception as error:  # noqa: BLE001 - a plugin's module may raise anything
            reason = one_line(message_of(error))
            quarantined.append(Quarantined(plugin.point.name, plugin.distribution, plugin.version, reason))
        else:
            entries += registrar.entries
    return Registry(entries, quarantined)


def names_without_plugin() -> list[str]:
    """A line for each name in the environment variables that no installed plugin or distribution has.

    There is a line too if `BNNBENCH_PLUGINS` is set and names none.
    """
    points = plugin_points()
    known = sorted({name for point in points for name in (point.name, _origin(point)[0])})
    lines = [f"{ALLOW} is empty, so that no plugin is loaded"] if _names(ALLOW) == set() else []
    for variable, written in ((ALLOW, ALLOW), (BLOCK, f"--block or {BLOCK}")):
        for name in sorted((_names(variable) or set()).difference(known)):
            close = closest(name, known)
            hint = f"did you mean '{close}'?" if close else f"there are {', '.join(known)}"
            lines.append(f"{written} names '{name}', but no installed plugin or distribution has this name; {hint}")
    return lines


def _register(point: metadata.EntryPoint, registrar: Registrar) -> None:
    """Import a plugin and let it register its components. Raises `PluginError` for a missing or unknown hook."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    if not module_of(point):
        raise PluginError(
            f"its entry point '{point.value}' is not of the form 'package.module' or 'package.module:object'"
        )
    plugin = point.load()
    manager.register(plugin, name=point.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"unknown hook: {error}") from error
    if not manager.hook.bnnbench_register.get_hookimpls():
        raise PluginError("it has no function bnnbench_register marked with @hookimpl")
    manager.hook.bnnbench_register(registry=registrar)


class _Plugin(NamedTuple):
    """An entry point, and the name and version of its distribution."""

    distribution: str
    version: str
    point: metadata.EntryPoint


def _permitted(points: Iterable[metadata.EntryPoint]) -> list[_Plugin]:
    """The plugins that the environment allows, each once, sorted by distribution and name."""
    allowed, blocked = _names(ALLOW), _names(BLOCK) or set()
    # A distribution that stands twice on the path, such as an editable install, lists its entry points twice.
    distinct = {(point.name, point.value, *_origin(point)): point for point in points}
    permitted = []
    for (name, _, distribution, version), point in sorted(distinct.items(), key=lambda item: item[0]):
        names = {name, distribution}
        if not names & blocked and (allowed is None or names & allowed):
            permitted.append(_Plugin(distribution, version, point))
    return sorted(permitted, key=lambda plugin: (plugin.distribution, plugin.point.name))


def _names(variable: str) -> set[str] | None:
    """The comma-separated names in an environment variable; None if it is not set."""
    value = os.environ.get(variable)
    return None if value is None else {name.strip() for name in value.split(",") if name.strip()}


_origins: dict[str, tuple[str, str]] = {}
"""The name and version of each distribution, by its path."""


def _origin(point: metadata.EntryPoint) -> tuple[str, str]:
    """The name and version of an entry point's distribution, kept after the first read, which takes milliseconds."""
    if point.dist is None:
        return "unknown", "0"
    place = str(getattr(point.dist, "_path", id(point.dist)))
    if place not in _origins:
        name, version = name_and_version(point.dist)
        _origins[place] = (name or "unknown", version or "0")
    return _origins[place]
