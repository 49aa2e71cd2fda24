"""The smallest adversarial distances that minimal-norm attacks found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bnnbench import Axis, Figure, NotApplicable, Panel, Picture, Results, Series

from .places import PERCENTS, Place, places
from .shares import care_in, needs_care, with_interval


class Distances(Figure):
    """The share of images whose smallest adversarial distance is at most d, against d.

    The distance of an image that is not robust as it is, such as a misclassified one, counts as 0. Only attacks with
    the trait `minimal-norm` look for the smallest distance. An outcome knows distances up to its radius alone, so the
    outcomes of the largest radius are used. One picture for each data set, network and threat apart from its radius,
    with a panel for each attack and a line for each posterior.
    """

    def pictures(self, results: Results) -> list[Picture]:
        drawn = [_picture(place, panels) for place in places(results) if (panels := _panels(place))]
        if not drawn:
            raise NotApplicable(
                "no attack with the trait minimal-norm, such as fmn, has results of all its seeds at a radius above 0"
            )
        return drawn


def _picture(place: Place, panels: Sequence[Panel]) -> Picture:
    y = Axis("images broken within distance d (%)", percent=True, low=0.0, high=1.0, ticks=PERCENTS)
    parts = [
        "The smallest distance at which the attack broke an image; 0 if it is not robust as it is. Each line ends at "
        "the largest radius with results of all seeds of the attack. Bands: 95% Wilson interval at each distance.",
        care_in([one for panel in panels for one in panel.series]),
        place.about,
    ]
    caption = " ".join(filter(None, parts))
    return Picture(place.name, f"Smallest adversarial distances: {place.title}", y, panels, caption)


def _panels(place: Place) -> list[Panel]:
    """A panel for each minimal-norm attack that has a result."""
    panels = []
    for label in place.group.attacks:
        series = [one for name, lines in place.posteriors.items() if (one := _series(place, name, lines, label))]
        if series:
            axis = Axis(f"{place.norm} distance d (in the data's units)", low=0.0)
            panels.append(Panel(f"attack: {label}", axis, series))
    return panels


def _series(place: Place, name: str, lines: Sequence[Any], label: str) -> Series | None:
    """The cumulative share of one posterior under one attack; None if it has no result of a minimal-norm attack."""
    for line in reversed(lines):
        cells = [cell for cell in line.cells if cell.spec.label == label]
        if not cells or line.threat.epsilon == 0 or "minimal-norm" not in cells[0].spec.component.traits:
            continue
        if all(cell.ok for cell in cells):
            care = needs_care(place.group, cells)
            return _cumulative(name, [smallest(cell.outcome) for cell in cells], line.threat.epsilon, care)
    return None


def smallest(outcome: Any) -> Any:
    """The smallest distance at which each image is not robust, (N,): 0 as it is, infinity if it was not broken."""
    return np.where(outcome.robust, np.inf, np.where(outcome.robust_as_is, outcome.distance, 0.0))


def _cumulative(name: str, distances: Sequence[Any], radius: float, care: bool) -> Series:
    """The share of images at each distance up to the radius; `distances` has an array (N,) for each seed."""
    images = len(distances[0])
    each = np.concatenate(distances)
    # Rounding may put a distance beyond the radius.
    x = np.unique([0.0, *np.minimum(each[np.isfinite(each)], radius), radius])
    shares = [(np.minimum(one, np.where(np.isfinite(one), radius, np.inf))[:, None] <= x).mean(0) for one in distances]
    points = [with_interval(float(share), images) for share in np.mean(shares, 0)]
    y, low, high = zip(*points, strict=True)
    return Series(name, x, y, low, high, steps=True, open=[care] * len(x))
