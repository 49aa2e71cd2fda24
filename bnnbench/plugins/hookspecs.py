"""The hook that every plugin implements: `bnnbench_register`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bnnbench.plugins.registrar import Registrar

hookspec = pluggy.HookspecMarker("bnnbench")
hookimpl = pluggy.HookimplMarker("bnnbench")


@hookspec
def bnnbench_register(registry: Registrar) -> None:
    """Register the components of a plugin, such as `registry.attack("uniform", Uniform)`.

    A text "module:Uniform" in place of the class is imported when the component is first used.
    `registry.add(kind, name, target, help=None)` takes a component of any kind; `dataset`, `network`, `posterior`,
    `objective`, `attack`, `certificate`, `measure`, `metric`, `check` and `figure` are short forms of it.
    """
