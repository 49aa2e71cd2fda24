"""Other attack libraries, with a projected gradient attack of each, for tests of the bridges."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

MODULES = {
    "adv-lib": "adv_lib.attacks",
    "foolbox": "foolbox",
    "pyautoattack": "pyautoattack",
    "torchattacks": "torchattacks",
}
"""The module that each library is imported as."""
PROJECTED: dict[str, dict[str, Any]] = {
    "adv-lib": {"attack": "apgd", "parameters": {"n_iter": 20, "loss_function": "ce"}},
    "foolbox": {"attack": "LinfPGD", "parameters": {"steps": 20, "rel_stepsize": 0.25}},
    "pyautoattack": {"attack": "apgd-ce", "parameters": {"n_iter": 20}},
    "torchattacks": {"attack": "PGD", "parameters": {"steps": 20, "alpha": 0.05}},
}
"""Parameters of a projected gradient attack in an l-infinity ball."""
FROM_THE_START: dict[str, tuple[str, dict[str, Any]]] = {
    "adv-lib": ("l2", {"attack": "apgd", "parameters": {"n_iter": 2}}),
    "foolbox": ("linf", {"attack": "LinfPGD", "parameters": {"steps": 1}}),
    "pyautoattack": ("linf", {"attack": "square", "parameters": {"n_queries": 5}}),
    "torchattacks": ("linf", {"attack": "PGD", "parameters": {"steps": 1, "alpha": 0.01}}),
}
"""The norm and the parameters of an attack whose result depends on the random start."""


def needed(library: str) -> Any:
    """The module of a library. The test is skipped, with the reason, if it cannot be imported."""
    try:
        return importlib.import_module(MODULES[library])
    except ImportError as error:
        pytest.skip(f"{library} cannot be imported: {error}")
