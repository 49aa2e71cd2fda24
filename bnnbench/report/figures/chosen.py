"""Which figures are drawn: those that are named, or all that are installed."""

from __future__ import annotations

from collections.abc import Iterable

from bnnbench.core.named_components import name_of, named
from bnnbench.errors import BnnbenchError
from bnnbench.evidence.figures.figure import Figure
from bnnbench.plugins.described import described
from bnnbench.plugins.installed import registry

Chosen = dict[str, Figure | BnnbenchError]
"""Figures by name; in the place of one that cannot be made, the reason."""


def chosen_figures(given: str | Figure | Iterable[str | Figure]) -> Chosen:
    """The figures that are given, or all that are installed if none is.

    Raises `UnknownComponent`, `PluginError` or `ParameterError` for a name of which no figure can be made, and
    `TypeError` for what is neither a name nor a figure.
    """
    found: Chosen = {}
    for one in [given] if isinstance(given, str | Figure) else given:
        if not isinstance(one, str | Figure):
            raise TypeError(f"each of figures is a name or a figure, not {described(one)}")
        found |= {name_of(one): one} if isinstance(one, Figure) else _named(one)
    return found or _installed()


def _named(text: str) -> Chosen:
    """The figure of a text, by its name without the file or distribution."""
    figure = named("figure", text)
    assert isinstance(figure, Figure), "components of other kinds are refused"
    use, at, parameters = text.partition("@")
    return {use.rpartition(":")[2] + at + parameters: figure}


def _installed() -> Chosen:
    """All installed figures with their defaults."""
    found: Chosen = {}
    for name in registry().choices("figure"):
        try:
            found[name] = registry().create("figure", name, {})
        except BnnbenchError as error:
            found[name] = error
    return found
