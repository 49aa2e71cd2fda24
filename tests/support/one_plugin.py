"""A plugin in one file, and the type of the fixture that installs plugins."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

Install = Callable[[str, str, str], list[metadata.EntryPoint]]
"""Takes the name of a distribution, that of a module, and its source."""

GOOD = """
from bnnbench import Attack, hookimpl

class Uniform(Attack):
    \"\"\"Uniform noise in the ball.\"\"\"
    def perturb(self, victim, x, y, threat, rng):
        return threat.uniform(x, rng)

@hookimpl
def bnnbench_register(registry):
    registry.attack("uniform", Uniform)
"""
