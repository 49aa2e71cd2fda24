"""Every bundled attack, with parameters that make it quick."""

from __future__ import annotations

from typing import Any

import pytest

import bnnbench as bb
from bnnbench.plugins.installed import registry

LITTLE: dict[str, dict[str, Any]] = {
    "apgd": {"steps": 10},
    "boundary": {"queries": 80},
    "carlini-wagner": {"steps": 10, "searches": 2},
    "fmn": {"steps": 15},
    "nes": {"steps": 4, "samples": 8},
    "square": {"queries": 40},
    "substitute": {"attack": {"use": "apgd", "steps": 5}, "rounds": 2, "epochs": 5},
    "transfer": {"attack": {"use": "pgd", "steps": 5}},
}
"""Parameters by the name of the attack; attacks that are quick as they are have none."""
NAMES = sorted(
    entry.name
    for entry in registry().entries
    if entry.kind == "attack" and entry.distribution == "bnnbench" and entry.plugin != "bridges"
)
NORMS = {"boundary": ("linf", "l2"), "carlini-wagner": ("l2",)}
"""The norms of attacks that are not defined for all, by the name of the attack."""
WITH_NORMS = [(name, norm) for name in NAMES for norm in NORMS.get(name, ("linf", "l2", "l1"))]
"""Each attack with each norm that it is defined for."""
CASES = [
    pytest.param(name, norm, marks=[pytest.mark.slow] * (name == "standard" and norm != "linf"))
    for name, norm in WITH_NORMS
]
"""The same for parametrised tests. `standard` costs most, and runs in other norms with the slow tests."""
WITHOUT_RANDOM_NUMBERS = frozenset(["carlini-wagner", "deepfool", "fgsm", "fmn", "mi-fgsm"])


def quick(name: str) -> bb.Attack:
    """The bundled attack of a name, with little effort."""
    return bb.attack(name, **LITTLE.get(name, {}))
