"""The entry points of the installed plugins, and what their metadata say."""

from __future__ import annotations

from importlib import metadata

GROUP = "bnnbench"
"""The group of entry points by which plugins are found."""


def plugin_points() -> list[metadata.EntryPoint]:
    """The entry points of all installed plugins."""
    return list(metadata.entry_points(group=GROUP))


def module_of(point: metadata.EntryPoint) -> str:
    """The module that an entry point names; empty if it names none, which quarantines that plugin alone."""
    try:
        return point.module
    except AttributeError:
        return ""


def name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """The name and version in a distribution's metadata; empty if absent, as for remains of a removed distribution."""
    try:
        fields = distribution.metadata
        return (fields["Name"] or "", fields["Version"] or "") if "Name" in fields else ("", "")
    except (OSError, ValueError):
        return "", ""
