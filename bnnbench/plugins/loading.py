"""Find the installed plugins and let each register its components, by itself.

Pluggy alone lets one plugin's ImportError end all loading, silently drops a misspelt hook, and lets one of two
distributions of the same name win. So every entry point gets a plugin manager of its own; whatever goes wrong in it
puts that one plugin into quarantine, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import NamedTuple

import pluggy

from bnnbench.errors import PluginError
from bnnbench.plugins import hookspecs
from bnnbench.plugins.provenance import GROUP, name_and_version
from bnnbench.plugins.registry import Entry, Registrar, Registry

ALLOW = "BNNBENCH_PLUGINS"
BLOCK = "BNNBENCH_BLOCK"


@dataclass(frozen=True)
class Quarantined:
    """A plugin that could not be loaded: its entry point, distribution, version and the reason."""

    plugin: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' ({self.distribution} {self.version}) could not be loaded: {self.reason}"


def load_registry(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
    """Load the plugins that the environment allows.

    `BNNBENCH_PLUGINS=a,b` loads those alone, `BNNBENCH_BLOCK=a,b` all but those; a name is an entry point's or a
    distribution's, so `bnnbench` means all that is bundled.
    """
    points = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    entries: list[Entry] = []
    quarantined: list[Quarantined] = []
    for found in _permitted(points):
        registrar = Registrar(found.point.name, found.distribution, found.version)
        try:
            _register(found.point, registrar)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may happen in a stranger's module
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            quarantined.append(Quarantined(found.point.name, found.distribution, found.version, reason.strip()))
        else:
            entries += registrar.entries
    return Registry(entries, quarantined)


def _register(point: metadata.EntryPoint, registrar: Registrar) -> None:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugin = point.load()
    manager.register(plugin, name=point.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"unknown hook: {error}") from error
    if not manager.hook.bnnbench_register.get_hookimpls():
        raise PluginError("it has no function bnnbench_register marked with @hookimpl")
    manager.hook.bnnbench_register(registry=registrar)


class _Found(NamedTuple):
    distribution: str
    version: str
    point: metadata.EntryPoint


def _permitted(points: Iterable[metadata.EntryPoint]) -> list[_Found]:
    allowed, blocked = _names(ALLOW), _names(BLOCK) or set()
    # A distribution that is found twice on the path (an editable install, say) lists its entry points twice.
    found = {(point.name, point.value, *_origin(point)): point for point in points}
    permitted = []
    for (name, _, distribution, version), point in sorted(found.items(), key=lambda item: item[0]):
        names = {name, distribution}
        if not names & blocked and (allowed is None or names & allowed):
            permitted.append(_Found(distribution, version, point))
    return sorted(permitted, key=lambda one: (one.distribution, one.point.name))


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {name.strip() for name in value.split(",") if name.strip()}


_origins: dict[str, tuple[str, str]] = {}


def _origin(point: metadata.EntryPoint) -> tuple[str, str]:
    """The distribution and version of an entry point; reading them takes milliseconds, so once for a distribution."""
    if point.dist is None:
        return "unknown", "0"
    place = str(getattr(point.dist, "_path", id(point.dist)))
    if place not in _origins:
        name, version = name_and_version(point.dist)
        _origins[place] = (name or "unknown", version or "0")
    return _origins[place]
