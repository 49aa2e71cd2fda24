"""Make components from their registered names, such as `bnnbench.attack("pgd", steps=15)`.

Each function raises `UnknownComponent` if no plugin provides the name, `PluginError` if the class cannot be imported,
and `ParameterError` for wrong parameters.
"""

from __future__ import annotations

from typing import Any

from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Dataset
from bnnbench.core.network import Network
from bnnbench.core.objective import Objective
from bnnbench.core.posterior import Posterior
from bnnbench.measurements.measure import Measure
from bnnbench.plugins.installed import registry


def dataset(name: str, **parameters: Any) -> Dataset:
    """A data set by its registered name, with these parameters; the others have their defaults."""
    return registry().create("dataset", name, parameters)


def network(name: str, **parameters: Any) -> Network:
    """A network by its registered name, with these parameters; the others have their defaults."""
    return registry().create("network", name, parameters)


def posterior(name: str, **parameters: Any) -> Posterior:
    """An inference method by its registered name, with these parameters; the others have their defaults."""
    return registry().create("posterior", name, parameters)


def objective(name: str, **parameters: Any) -> Objective:
    """An objective by its registered name, with these parameters; the others have their defaults."""
    return registry().create("objective", name, parameters)


def attack(name: str, **parameters: Any) -> Attack:
    """An attack by its registered name, with these parameters; the others have their defaults."""
    return registry().create("attack", name, parameters)


def measure(name: str, **parameters: Any) -> Measure:
    """A measure by its registered name, with these parameters; the others have their defaults."""
    return registry().create("measure", name, parameters)
