"""Make components from their registered names, such as `bnnbench.attack("pgd", steps=15)`.

Each function raises `UnknownComponent` if no plugin provides the name, `PluginError` if the class cannot be imported,
`ParameterError` for wrong parameters, and `TypeError` for anything else than a name.
"""

from __future__ import annotations

from typing import Any

from bnnbench.core.arguments import instance_of
from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Dataset
from bnnbench.core.network import Network
from bnnbench.core.objective import Objective
from bnnbench.core.posterior import Posterior
from bnnbench.measurements.measure import Measure
from bnnbench.plugins.described import with_article
from bnnbench.plugins.installed import registry


def dataset(name: str, /, **parameters: Any) -> Dataset:
    """A data set by its registered name, with these parameters; the others have their defaults."""
    return _made("dataset", name, parameters)


def network(name: str, /, **parameters: Any) -> Network:
    """A network by its registered name, with these parameters; the others have their defaults."""
    return _made("network", name, parameters)


def posterior(name: str, /, **parameters: Any) -> Posterior:
    """An inference method by its registered name, with these parameters; the others have their defaults."""
    return _made("posterior", name, parameters)


def objective(name: str, /, **parameters: Any) -> Objective:
    """An objective by its registered name, with these parameters; the others have their defaults."""
    return _made("objective", name, parameters)


def attack(name: str, /, **parameters: Any) -> Attack:
    """An attack by its registered name, with these parameters; the others have their defaults."""
    return _made("attack", name, parameters)


def measure(name: str, /, **parameters: Any) -> Measure:
    """A measure by its registered name, with these parameters; the others have their defaults."""
    return _made("measure", name, parameters)


def _made(kind: str, name: str, parameters: dict[str, Any]) -> Any:
    instance_of(name, str, argument="name", meant=f"the registered name of {with_article(kind)}")
    return registry().create(kind, name, parameters)
