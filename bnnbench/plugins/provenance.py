"""Which distribution provides a class, and at which version."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution


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
    return provider_of(cls)[1].partition("+")[0] or "unversioned"


def provider_of(cls: type) -> tuple[str, str]:
    """The distribution that provides the class, and its version; both empty for a class of a script."""
    known = _known.get(cls)
    if known is not None:
        return known.distribution, known.version
    from importlib import metadata

    top = cls.__module__.partition(".")[0]
    for distribution in metadata.packages_distributions().get(top, []):
        return distribution, metadata.version(distribution)
    return "", ""


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
