"""Which figures are drawn: those that are named, or all that are installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from bnnbench.core.named_components import name_of, named, parameters_of
from bnnbench.errors import BnnbenchError
from bnnbench.evidence.figures.figure import Figure
from bnnbench.plugins.described import described
from bnnbench.plugins.installed import registry

Chosen = dict[str, Figure | BnnbenchError]
"""Figures by name; in the place of one that cannot be made, the reason."""


def chosen_figures(given: str | Figure | Iterable[str | Figure]) -> Chosen:
    """The figures that are given, or all that are installed if none is. Different figures have different names.

    Raises `UnknownComponent`, `PluginError` or `ParameterError` for a name of which no figure can be made, and
    `TypeError` for what is neither a name nor a figure.
    """
    found: Chosen = {}
    for one in [given] if isinstance(given, str | Figure) else given:
        if not isinstance(one, str | Figure):
            raise TypeError(f"each of figures is a name or a figure, not {described(one)}")
        name, figure = (name_of(one), one) if isinstance(one, Figure) else _named(one)
        found[_free(name, figure, found)] = figure
    return found or _installed()


def _free(name: str, figure: Figure, taken: Chosen) -> str:
    """The name of a figure, with a number if another figure has it: two files may have classes of one name."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(one for one in names if one not in taken or taken[one] == figure)


def _named(text: str) -> tuple[str, Figure]:
    """The figure of a text, and its name: without the file or distribution, and with the parameters as they are."""
    figure = named("figure", text)
    assert isinstance(figure, Figure), "components of other kinds are refused"
    return text.partition("@")[0].rpartition(":")[2] + parameters_of(figure), figure


def _installed() -> Chosen:
    """All installed figures with their defaults."""
    found: Chosen = {}
    for name in registry().choices("figure"):
        try:
            found[name] = registry().create("figure", name, {})
        except BnnbenchError as error:
            found[name] = error
    return found
