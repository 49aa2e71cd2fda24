"""Robust accuracy against the radius of the ball."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from bnnbench import Area, Axis, Figure, NotApplicable, Panel, Picture, Results, Series

from .places import PERCENTS, Place, places
from .shares import Ends, accuracy, both_ends, care_in, needs_care

BETWEEN = (
    "Between two radii the hatched bracket reaches from what is certified at the larger up to the worst case at the "
    "smaller, as robustness can only fall."
)
"""What the bracket is between the radii that were measured, for captions."""


class Point(NamedTuple):
    """An accuracy at a radius with its interval; `open` says that it is to be read with care."""

    x: float
    y: float
    low: float
    high: float
    open: bool = False


class Radius(Figure):
    """Robust accuracy against the radius: each attack, the worst case over attacks, and what certificates prove.

    One picture for each data set, network and threat apart from its radius, with a panel for each posterior. All lines
    start at radius 0 from the clean accuracy, unless the goal is about uncertainty. The truth lies in the hatched
    bracket between the certified accuracy and the worst case of the seeds that have both. As it can only fall with the
    radius, it lies between two radii below the worst case of the smaller and above what is certified at the larger.
    """

    def pictures(self, results: Results) -> list[Picture]:
        drawn = [picture for place in places(results) for picture in _pictures(place)]
        if not drawn:
            raise NotApplicable("no result at a radius above 0")
        return drawn


def _pictures(place: Place) -> Iterator[Picture]:
    """The picture of a place; none if no line has a radius above 0."""
    if not any(line.threat.epsilon for line in place.lines):
        return
    panels = [_panel(place, name, lines) for name, lines in place.posteriors.items()]
    y = Axis(place.robust, percent=True, low=0.0, high=1.0, ticks=PERCENTS)
    title = f"{place.robust_title} against radius: {place.title}"
    yield Picture(place.name, title, y, panels, _caption(place, panels))


def _panel(place: Place, posterior: str, lines: Sequence[Any]) -> Panel:
    """The panel of a posterior, whose lines have radii in rising order."""
    group, start = place.group, _clean(lines) if place.is_about_class else []
    series = [_series(label, _attack(group, lines, label, start)) for label in group.attacks]
    series.append(_series("certified", _combined(group, lines, "certified", start), "bound"))
    series.append(_series("worst", _combined(group, lines, "worst", start), "strong"))
    areas = _brackets(lines, starts=place.is_about_class)
    return Panel(posterior, Axis(place.radius, low=0.0), [one for one in series if one], areas)


def _clean(lines: Sequence[Any]) -> list[Point]:
    """The clean accuracy as a point at radius 0; none if an attack or certificate has a result there."""
    cells = next([*line.clean.values()] for line in lines if line.clean)
    found = accuracy(cells, "clean_accuracy")
    return [] if found is None or lines[0].threat.epsilon == 0 else [Point(0.0, *found)]


def _attack(group: Any, lines: Sequence[Any], label: str, start: list[Point]) -> list[Point]:
    """The robust accuracy under one attack at each radius at which no cell lacks its result."""
    points = []
    for line in lines:
        cells = [cell for cell in line.cells if cell.spec.label == label]
        if (found := accuracy(cells)) is not None:
            points.append(Point(line.threat.epsilon, *found, needs_care(group, cells)))
    return [*start, *points] if points else []


def _combined(group: Any, lines: Sequence[Any], column: str, start: list[Point]) -> list[Point]:
    """A column that combines attacks or certificates, at each radius."""
    points = []
    for line in lines:
        one = group.combined(line).get(column)
        if one is not None and one.accuracy is not None:
            found = one.accuracy
            care = one.partial or (column == "worst" and _no_evidence(line))
            points.append(Point(line.threat.epsilon, found.mean, found.low, found.high, care))
    return [*start, *points] if points else []


def _no_evidence(line: Any) -> bool:
    """Whether at some seed no attack of a line is evidence."""
    return any(all(cell.refuted for cell in cells if cell.ok) for cells in line.by_seed.values())


def _series(label: str, points: Sequence[Point], role: Any = "plain") -> Series | None:
    """A series of points, with a band if it is the worst case; None without points."""
    if not points:
        return None
    x, y, low, high, is_open = zip(*points, strict=True)
    band = (low, high) if role == "strong" else ((), ())
    return Series(label, x, y, *band, role=role, open=is_open)


def _brackets(lines: Sequence[Any], *, starts: bool) -> list[Area]:
    """The areas between what is certified and the worst case, each over neighbouring radii of the same seeds.

    Numbers of other seeds bound nothing, so that nothing is drawn between them. The first area begins at radius 0 with
    the clean accuracy if `starts`.
    """
    both = [(line, ends) for line in lines if (ends := both_ends(line))]
    areas = []
    for seeds, found in itertools.groupby(both, lambda one: {*one[1]}):
        run = list(found)
        points = [(line.threat.epsilon, *_mean_ends(ends.values())) for line, ends in run]
        if starts and run[0][0] is both[0][0] and points[0][0] > 0:
            first = run[0][0].clean
            clean = sum(first[seed].figures["clean_accuracy"] for seed in seeds) / len(seeds)
            points.insert(0, (0.0, clean, clean))
        if len(points) > 1:
            x, low, high = zip(*points, strict=True)
            areas.append(Area("bracket: the truth lies here", x, low, high, steps=True))
    return areas


def _mean_ends(ends: Collection[Ends]) -> tuple[float, float]:
    """The lower and the upper end of the bracket, as means over seeds."""
    certified, robust = (
        sum(float(one.mean()) for one in part) / len(ends)
        for part in zip(*((one.certified, one.robust) for one in ends), strict=True)
    )
    return certified, robust


def _caption(place: Place, panels: Sequence[Panel]) -> str:
    """What the lines, bands and markers of the panels mean."""
    series = [one for panel in panels for one in panel.series]
    worst = any(one.role == "strong" for one in series)
    certified = any(one.role == "bound" for one in series)
    partial = any(0 < len(both_ends(line)) < len(place.group.seeds) for line in place.lines)
    parts = [
        place.about,
        f"worst, under all attacks: {place.withstood}; grey band: its 95% Wilson interval." if worst else "",
        "certified: images at which no attack in the ball can succeed (proof)." if certified else "",
        BETWEEN if any(panel.areas for panel in panels) else "",
        "The bracket is that of the seeds that have both." if partial else "",
        "At radius 0: clean accuracy." if place.is_about_class else "",
        care_in(series),
    ]
    return " ".join(filter(None, parts))
