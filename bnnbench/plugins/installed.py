"""The registry of the plugins that are installed in this environment."""

from __future__ import annotations

import functools

from bnnbench.plugins.loading import load_registry
from bnnbench.plugins.registry import Registry


@functools.cache
def registry() -> Registry:
    """The registry of all installed plugins; it is loaded at the first call and then kept."""
    return load_registry()
