"""Make components from their registered names, such as `bnnbench.attack("pgd", steps=15)`.

Each function raises `UnknownComponent` if no plugin provides the name, `PluginError` if the class cannot be imported,
`ParameterError` for wrong parameters, and `TypeError` for anything else than a name.
"""

from __future__ import annotations

from typing import Any

from bnnbench.core.arguments import instance_of, told_names
from bnnbench.core.attack import Attack
from bnnbench.core.certificate import Certificate
from bnnbench.core.dataset import Dataset
from bnnbench.core.network import Network
from bnnbench.core.objective import Objective
from bnnbench.core.posterior import Posterior
from bnnbench.errors import ParameterError
from bnnbench.evidence.audit.check import Check
from bnnbench.evidence.figures.figure import Figure
from bnnbench.measurements.measure import Measure
from bnnbench.measurements.metric import Metric
from bnnbench.plugins.described import in_words, with_article
from bnnbench.plugins.installed import registry


@told_names
def dataset(name: str, /, **parameters: Any) -> Dataset:
    """A data set by its registered name, with these parameters; the others have their defaults."""
    return _made("dataset", name, parameters)


@told_names
def network(name: str, /, **parameters: Any) -> Network:
    """A network by its registered name, with these parameters; the others have their defaults."""
    return _made("network", name, parameters)


@told_names
def posterior(name: str, /, **parameters: Any) -> Posterior:
    """An inference method by its registered name, with these parameters; the others have their defaults."""
    return _made("posterior", name, parameters)


@told_names
def objective(name: str, /, **parameters: Any) -> Objective:
    """An objective by its registered name, with these parameters; the others have their defaults."""
    return _made("objective", name, parameters)


@told_names
def attack(name: str, /, **parameters: Any) -> Attack:
    """An attack by its registered name, with these parameters; the others have their defaults."""
    return _made("attack", name, parameters)


@told_names
def certificate(name: str, /, **parameters: Any) -> Certificate:
    """A certificate by its registered name, with these parameters; the others have their defaults."""
    return _made("certificate", name, parameters)


@told_names
def measure(name: str, /, **parameters: Any) -> Measure:
    """A measure by its registered name, with these parameters; the others have their defaults."""
    return _made("measure", name, parameters)


@told_names
def metric(name: str, /, **parameters: Any) -> Metric:
    """A metric by its registered name, with these parameters; the others have their defaults."""
    return _made("metric", name, parameters)


@told_names
def check(name: str, /, **parameters: Any) -> Check:
    """A check of the audit by its registered name, with these thresholds; the others have their defaults."""
    return _made("check", name, parameters)


@told_names
def figure(name: str, /, **parameters: Any) -> Figure:
    """A figure by its registered name, with these parameters; the others have their defaults."""
    return _made("figure", name, parameters)


_OF_THREAT = frozenset(["epsilon", "epsilons", "eps", "norm", "bounds", "queries", "access", "stream", "goal"])
"""What users of other libraries give to an attack, and what belongs to its threat here."""

_UNDER_THREATS = {
    "attack": "bnnbench.evaluate(model, attack, data, epsilon=...), attack.run(model, x, y, epsilon)",
    "certificate": "bnnbench.certify(model, certificate, data, epsilon=...)",
}
"""The kinds of components that are used under threats, with examples of such a use."""


def _made(kind: str, name: str, parameters: dict[str, Any]) -> Any:
    instance_of(name, str, argument="name", meant=f"the registered name of {with_article(kind)}")
    try:
        return registry().create(kind, name, parameters)
    except ParameterError as error:
        misplaced = [one for one in parameters if one in _OF_THREAT and f"no parameter '{one}'" in str(error)]
        if kind not in _UNDER_THREATS or not misplaced:
            raise
        told = f"{kind} {name}: no parameter {in_words(misplaced)}: it belongs to the threat"
        example = _UNDER_THREATS[kind]
        raise ParameterError(f"{told}, as in {example} or bnnbench.Threat(epsilon=..., norm=...)") from None
