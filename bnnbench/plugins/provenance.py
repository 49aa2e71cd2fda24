"""The distribution that provides a class or module, and its version."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from bnnbench.plugins.entry_points import module_of, name_and_version, plugin_points


@dataclass(frozen=True)
class Provenance:
    """A distribution, its version and the module through which it registered a component."""

    distribution: str
    version: str
    module: str


_registered: dict[type, Provenance] = {}
"""The provenance of each class that the registry has handed out."""


def remember(cls: type, provenance: Provenance) -> None:
    """Keep the provenance of a registered class for `provider_of`; the registry calls this for every class it loads."""
    _registered[cls] = provenance


def version_of(cls: type) -> str:
    """The public version of the distribution that provides a class; `unversioned` for a class of a script."""
    return _public(provider_of(cls)[1])


def version_of_module(module: str) -> str:
    """The public version of the distribution that provides a module; `unversioned` for a script.

    Unlike `version_of` it does not depend on which plugins have been loaded.
    """
    return _public(_provider_of_package(module.partition(".")[0])[1])


def provider_of(cls: type) -> tuple[str, str]:
    """The name and version of the distribution that provides a class; both empty for a class of a script.

    The distribution of the class's package takes precedence over the one that registered the class: the former is the
    same in every process, the latter depends on what the process has loaded.
    """
    of_package = _provider_of_package(cls.__module__.partition(".")[0])
    registered = _registered.get(cls)
    return (registered.distribution, registered.version) if registered and not of_package[0] else of_package


@functools.cache
def _provider_of_package(package: str) -> tuple[str, str]:
    """The name and version of the distribution that holds a package; both empty if none does."""
    from importlib import metadata

    # The packages of an editable distribution are found by its entry points alone.
    for point in plugin_points():
        if point.dist is not None and module_of(point).partition(".")[0] == package:
            return name_and_version(point.dist)
    for distribution in filter(None, metadata.packages_distributions().get(package, [])):
        return distribution, metadata.version(distribution)
    return "", ""


def _public(version: str) -> str:
    """A version without its local part (`1.0` of `1.0+local`)."""
    return version.partition("+")[0] or "unversioned"
