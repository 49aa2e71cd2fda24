"""Metrics by the names that commands and programs give them."""

from __future__ import annotations

from collections.abc import Iterable

from bnnbench.core.named_components import name_of, named, parts_of
from bnnbench.errors import ParameterError, clean
from bnnbench.measurements.metric import Metric
from bnnbench.plugins.described import described

Metrics = dict[str, Metric]
"""Metrics by the names that reports give them."""


def metrics_of(given: str | Metric | Iterable[str | Metric]) -> Metrics:
    """The metrics by name, from texts and from metrics.

    A text names metrics as `use` in a benchmarks file names components, separated by commas, each with its parameters
    after `@`: `nll,selective-accuracy@share=0.8,score=entropy`. Raises `UnknownComponent`, `PluginError` and
    `ParameterError` as `bnnbench.metric` does, `ParameterError` for a text without a name and for two metrics of one
    name, and `TypeError` for what is neither a text nor a metric.
    """
    if isinstance(given, str | Metric):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"metrics are names and metrics, such as ['nll'], not {described(given)}")
    found: Metrics = {}
    for one in given:
        for name, metric in _named(one):
            if found.setdefault(name, metric).identity() != metric.identity():
                raise ParameterError(f"two metrics have the name '{name}', by which tables call them: ask for one")
    return found


def _named(given: str | Metric) -> list[tuple[str, Metric]]:
    """The metrics that one text or metric stands for, each with its name."""
    if isinstance(given, Metric):
        return [(name_of(given), given)]
    if isinstance(given, str):
        return [(_name(text), _metric(text)) for text in _texts(given)]
    raise TypeError(f"each of metrics is a name or a metric, not {described(given)}")


def _name(text: str) -> str:
    """The name of the metric that one text names: without its distribution or file, with its parameters."""
    use, at, parameters = text.partition("@")
    return clean(use.rpartition(":")[2] + at + parameters)


def _texts(given: str) -> list[str]:
    """The texts of single metrics in a text; further parameters of one, after commas, stay with it.

    Raises `ParameterError` if there are none.
    """
    texts: list[str] = []
    for part in parts_of(given):
        if texts and "@" in texts[-1] and "=" in part and "@" not in part.partition("=")[0]:
            texts[-1] += f",{part}"
        else:
            texts.append(part)
    if not texts:
        raise ParameterError(f"metrics: {described(given)} names no metric; write names such as nll,brier")
    return texts


def _metric(text: str) -> Metric:
    """The metric that one text names."""
    found = named("metric", text)
    assert isinstance(found, Metric)
    return found
