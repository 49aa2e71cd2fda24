"""Robust accuracy against what was swept: steps, restarts and queries of attacks, queries and draws of threats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnnbench import Axis, Figure, NotApplicable, Panel, Picture, Results, Series

from .places import PERCENTS, Place, places
from .shares import accuracy, by_attack, care_in, needs_care

OF_THREATS = {"queries": "queries per image that the threat allows", "attack_draws": "draws that the attacker sees"}
"""The numbers of threats against which accuracies are drawn, and what they are."""
LOG = 10
"""The ratio of the largest to the smallest swept value from which the axis is logarithmic."""


@dataclass(frozen=True)
class Swept:
    """The accuracy of one cell at several seeds, and where it stands.

    Attributes:
        panel: the title of its panel.
        axis: what its panel has on the x axis.
        line: the name of its line.
        x: the swept value.
        cells: the cells, one for each seed.
    """

    panel: str
    axis: str
    line: str
    x: float
    cells: Sequence[Any]


class Sweep(Figure):
    """Robust accuracy against a number that attacks or threats were swept over: steps, restarts, queries, draws.

    One picture for each data set, network and attack, with a panel for each swept number and radius, and a line for
    each posterior.
    """

    def pictures(self, results: Results) -> list[Picture]:
        found = places(results, beside=OF_THREATS)
        drawn = [
            picture
            for place in found
            for attack in dict.fromkeys(label.partition("@")[0] for label in place.group.attacks)
            if (picture := _picture(place, attack)) is not None
        ]
        if not drawn:
            raise NotApplicable(
                "no number was swept: give an attack sweep: {steps: [5, 10, 50]}, or list threats with several queries"
            )
        return drawn


def _picture(place: Place, attack: str) -> Picture | None:
    """The picture of an attack and all its variants; None if none of its numbers has two values."""
    swept = [*_of_attack(place, attack), *_of_threats(place, attack)]
    panels = [panel for panel in _panels(swept, place.group) if panel is not None]
    if not panels:
        return None
    y = Axis(place.robust, percent=True, low=0.0, high=1.0, ticks=PERCENTS)
    care = care_in([one for panel in panels for one in panel.series])
    counted = "" if place.threat.goal == "untargeted" else f"Shown are {place.withstood}."
    parts = [f"Attack: {attack}. Bands: 95% Wilson interval.", counted, care, place.about]
    caption = " ".join(filter(None, parts))
    title = f"{place.robust_title} under {attack}: {place.title}"
    return Picture(f"{place.name}-{attack}", title, y, panels, caption)


def _of_attack(place: Place, attack: str) -> Iterator[Swept]:
    """Each cell of an attack that is swept over a number, once for each such number."""
    for name, lines in place.posteriors.items():
        for line in lines:
            for label, cells in by_attack(line.cells).items():
                values = swept_values(cells[0].spec)
                if label.partition("@")[0] != attack:
                    continue
                for parameter, value in values.items():
                    if _is_number(value):
                        others = {one: text for one, text in _texts(label).items() if one != parameter}
                        asked = {one: getattr(line.threat, one) for one in OF_THREATS}
                        yield Swept(
                            _title(f"radius {line.radius}", {one: x for one, x in asked.items() if x is not None}),
                            f"{parameter.replace('_', ' ')} of {attack}",
                            _title(name, others),
                            value,
                            cells,
                        )


def _of_threats(place: Place, attack: str) -> Iterator[Swept]:
    """Each cell of an attack under a threat that gives a number of queries or draws, once for each such number."""
    for name, lines in place.posteriors.items():
        for line in lines:
            asked = {one: getattr(line.threat, one) for one in OF_THREATS}
            for field, value in asked.items():
                if value is None:
                    continue
                others = {one: x for one, x in asked.items() if one != field and x is not None}
                for label, cells in by_attack(line.cells).items():
                    # An attack that asks nothing does not depend on what it may ask.
                    if label.partition("@")[0] == attack and any(cell.figures["mean_passes"] for cell in cells):
                        title = _title(f"radius {line.radius}", others)
                        yield Swept(title, OF_THREATS[field], _title(name, _texts(label)), value, cells)


def _panels(swept: Sequence[Swept], group: Any) -> Iterator[Panel | None]:
    """The panels, in the order in which they are first named; None for one of which no line has two points."""
    places: dict[tuple[str, str], list[Swept]] = {}
    for one in swept:
        places.setdefault((one.axis, one.panel), []).append(one)
    for (axis, title), members in places.items():
        series = [*_series(members, group)]
        if not any(len(one.x) > 1 for one in series):
            yield None
            continue
        values = sorted({x for one in series for x in one.x})
        log = values[0] > 0 and values[-1] / values[0] >= LOG
        yield Panel(title, Axis(axis, log=log, ticks=values if len(values) <= 8 else ()), series)


def _series(members: Sequence[Swept], group: Any) -> Iterator[Series]:
    """A series for each line of a panel that has a result."""
    lines: dict[str, dict[float, Any]] = {}
    for one in members:
        if (found := accuracy(one.cells)) is not None:
            lines.setdefault(one.line, {})[one.x] = (*found, needs_care(group, one.cells))
    for name, points in lines.items():
        x = sorted(points)
        y, low, high, care = zip(*(points[value] for value in x), strict=True)
        yield Series(name, x, y, low, high, open=care)


def swept_values(spec: Any) -> dict[str, Any]:
    """The values of the parameters that the label of an attack says were swept."""
    return {name: getattr(spec.component, name) for name in _texts(spec.label) if hasattr(spec.component, name)}


def _texts(label: str) -> dict[str, str]:
    """The swept parameters in a label, `pgd@steps=5,objective=log-margin`, with their values as texts."""
    parts = label.partition("@")[2].split(",")
    return {name: value for name, equals, value in (part.partition("=") for part in parts) if equals}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _title(text: str, others: Mapping[str, Any]) -> str:
    """A text, and other swept values behind it."""
    return ", ".join([text, *(f"{name.replace('_', ' ')} {value}" for name, value in others.items())])
