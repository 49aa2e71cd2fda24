"""The width of the bracket between attacks and certificates, against the radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bnnbench import Axis, Figure, NotApplicable, Panel, Picture, Results, Series

from .places import Place, places
from .shares import both_ends, care_in, with_interval


class Bracket(Figure):
    """The share of images whose robustness is open: neither broken by an attack nor certified, against the radius.

    It is the worst case over attacks less what certificates prove: the width of the bracket in which the truth lies.
    One picture for each data set, network and threat apart from its radius, with a line for each posterior.
    """

    def pictures(self, results: Results) -> list[Picture]:
        found = places(results)
        drawn = [_picture(place, series) for place in found if (series := _series(place))]
        if not drawn:
            kinds = {"certificate": "certificates", "attack": "attacks"}
            absent = [name for kind, name in kinds.items() if not any(_has(place, kind) for place in found)]
            raise NotApplicable(f"no line has results of {' and of '.join(absent) or 'both attacks and certificates'}")
        return drawn


def _has(place: Place, kind: str) -> bool:
    return any(cell.ok for line in place.lines for cell in line.all if cell.spec.kind == kind)


def _picture(place: Place, series: Sequence[Series]) -> Picture:
    y = Axis("width of the bracket (% of the images)", percent=True, low=0.0)
    panel = Panel("", Axis(place.radius, low=0.0), series)
    parts = [
        "Images that no attack broke and no certificate proved: worst case less certified accuracy, over the seeds "
        "that have both. Bands: 95% Wilson interval. Lines only join the points: between two radii the bracket is "
        "mostly wider, as the figure radius shows.",
        care_in(series),
        place.about,
    ]
    caption = " ".join(filter(None, parts))
    return Picture(place.name, f"Width of the bracket against radius: {place.title}", y, [panel], caption)


def _series(place: Place) -> list[Series]:
    """A series for each posterior that has attacks and certificates at some radius."""
    found = []
    for name, lines in place.posteriors.items():
        points = [point for line in lines if (point := _point(place.group, line)) is not None]
        if points:
            x, y, low, high, partial = zip(*points, strict=True)
            found.append(Series(name, x, y, low, high, open=partial))
    return found


def _point(group: Any, line: Any) -> tuple[float, float, float, float, bool] | None:
    """The width at the radius of a line with its interval, and whether an outcome is missing; None without a width."""
    widths = [ends.robust & ~ends.certified for ends in both_ends(line).values()]
    if not widths:
        return None
    interval = with_interval(float(np.mean(widths)), len(widths[0]))
    partial = len(widths) < len(group.seeds) or any(one.partial for one in group.combined(line).values())
    return (line.threat.epsilon, *interval, partial)
