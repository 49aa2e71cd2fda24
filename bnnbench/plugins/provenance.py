"""Which distribution provides a class, and at which version."""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "bnnbench"
"""The group of entry points by which plugins are found."""


@dataclass(frozen=True)
class Provenance:
    """A distribution, its version and the module through which it registered a component."""

    distribution: str
    version: str
    module: str


_known: dict[type, Provenance] = {}


def remember(cls: type, provenance: Provenance) -> None:
    """Called by the registry whenever it hands out a class."""
    _known[cls] = provenance


def version_of(cls: type) -> str:
    """The public version of the distribution that provides the class, or `unversioned` for a class of a script."""
    return _public(provider_of(cls)[1])


def version_of_module(module: str) -> str:
    """The same for a module: unlike a class's it does not depend on who has registered the class by now."""
    return _public(_provider_of_package(module.partition(".")[0])[1])


def provider_of(cls: type) -> tuple[str, str]:
    """The distribution that provides the class, and its version; both empty for a class of a script.

    Whose package the class is in comes first: that is known in every process, who has registered it is not.
    """
    found = _provider_of_package(cls.__module__.partition(".")[0])
    known = _known.get(cls)
    return (known.distribution, known.version) if known and not found[0] else found


@functools.cache
def _provider_of_package(package: str) -> tuple[str, str]:
    from importlib import metadata

    # The entry points first: what an editable distribution provides is not listed anywhere else.
    for point in metadata.entry_points(group=GROUP):
        if point.dist is not None and point.module.partition(".")[0] == package:
            return name_and_version(point.dist)
    for distribution in filter(None, metadata.packages_distributions().get(package, [])):
        return distribution, metadata.version(distribution)
    return "", ""


def _public(version: str) -> str:
    return version.partition("+")[0] or "unversioned"


def name_and_version(distribution: Distribution) -> tuple[str, str]:
    """What a distribution calls itself; empty where it does not say, like the remains of one that was removed."""
    try:
        told = distribution.metadata
        return (told["Name"] or "", told["Version"] or "") if "Name" in told else ("", "")
    except (OSError, ValueError):
        return "", ""


def code_of(cls: type) -> str:
    """The sha256 of the file that defines the class; empty where there is none."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if not file or not Path(file).is_file():
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
