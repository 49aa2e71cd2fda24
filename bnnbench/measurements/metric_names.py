"""Metrics by the names that commands and programs give them."""

from __future__ import annotations

from collections.abc import Iterable

from bnnbench.core.named_components import name_of, named
from bnnbench.errors import clean
from bnnbench.measurements.metric import Metric
from bnnbench.plugins.described import described

Metrics = dict[str, Metric]
"""Metrics by the names that reports give them."""


def metrics_of(given: str | Metric | Iterable[str | Metric]) -> Metrics:
    """The metrics by name, from texts and from metrics.

    A text names metrics as `use` in a benchmarks file names components, separated by commas, each with its parameters
    after `@`: `nll,selective-accuracy@share=0.8,score=entropy`. Raises `UnknownComponent`, `PluginError` and
    `ParameterError` as `bnnbench.metric` does, and `TypeError` for what is neither a text nor a metric.
    """
    if isinstance(given, str | Metric):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"metrics are names and metrics, such as ['nll'], not {described(given)}")
    found: Metrics = {}
    for one in given:
        if isinstance(one, Metric):
            found[name_of(one)] = one
        elif isinstance(one, str):
            found |= {clean(text.rpartition(":")[2]): _metric(text) for text in _texts(one)}
        else:
            raise TypeError(f"each of metrics is a name or a metric, not {described(one)}")
    return found


def _texts(given: str) -> list[str]:
    """The texts of single metrics in a text; further parameters of one, after commas, stay with it."""
    texts: list[str] = []
    for part in filter(None, (part.strip() for part in given.split(","))):
        if texts and "@" in texts[-1] and "=" in part and "@" not in part:
            texts[-1] += f",{part}"
        else:
            texts.append(part)
    return texts


def _metric(text: str) -> Metric:
    """The metric that one text names."""
    found = named("metric", text)
    assert isinstance(found, Metric)
    return found
