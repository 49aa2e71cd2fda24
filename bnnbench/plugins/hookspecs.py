"""The one hook that a plugin implements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bnnbench.plugins.registry import Registrar

hookspec = pluggy.HookspecMarker("bnnbench")
hookimpl = pluggy.HookimplMarker("bnnbench")


@hookspec
def bnnbench_register(registry: Registrar) -> None:
    """Register components: `registry.attack("uniform", Uniform)`, or lazily `"module:Uniform"` in place of the class.

    The registrar has one method for each kind: `dataset`, `network`, `posterior`, `objective`, `attack`; each takes
    `(name, target, help=None)`.
    """
