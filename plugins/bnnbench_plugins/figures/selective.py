"""The accuracy of the images that are most certain, clean and attacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from bnnbench import Axis, Figure, NotApplicable, Panel, Picture, Results, Series

from .places import PERCENTS, Place, places
from .shares import by_attack, care_in, lacks_seed, needs_care, with_interval

SHARES = tuple(share / 40 for share in range(1, 41))
"""The shares of the images at which the accuracy is computed."""
LEAST = 10
"""The smallest number of images of which an accuracy is shown."""
_SCORES = {
    "entropy": "entropy of the predictive",
    "mutual-information": "mutual information (what the draws disagree on)",
    "max-probability": "one less the largest probability",
}


class Selective(Figure):
    """The accuracy over the share of the images that are most certain, clean and attacked at each radius.

    The attack is that of the lowest robust accuracy at the radius. Attacks that stop at an image once it is
    misclassified are left out, for they do not try to make the prediction certain. One picture for each data set,
    network and threat apart from its radius, with a panel for each posterior.
    """

    score: Literal["entropy", "mutual-information", "max-probability"] = "entropy"
    """The uncertainty by which images are kept."""

    def pictures(self, results: Results) -> list[Picture]:
        drawn = [one for place in places(results) if (one := self._picture(place)) is not None]
        if not drawn:
            raise NotApplicable(
                "no attack that goes on at misclassified images, such as pgd, has results of all its seeds"
            )
        return drawn

    def _picture(self, place: Place) -> Picture | None:
        """The picture of a place; None if it has no attack to be drawn."""
        axis = Axis("share of the images that is kept (%)", percent=True, low=0.0, high=1.0, ticks=PERCENTS)
        panels: list[Panel] = []
        used: dict[str, None] = {}
        for name, lines in place.posteriors.items():
            attacks = [(line, cells) for line in lines if line.threat.epsilon and (cells := _strongest(line))]
            if attacks:
                used |= dict.fromkeys(cells[0].spec.label for _, cells in attacks)
                panels.append(Panel(name, axis, self._all(place.group, attacks)))
        if not panels:
            return None
        y = Axis("accuracy of kept images (%)", percent=True, low=0.0, high=1.0, ticks=PERCENTS)
        which = f"by {next(iter(used))}" if len(used) == 1 else f"by the strongest of {', '.join(used)} at each radius"
        aim = "class and not at the uncertainty"
        if not place.is_about_class:
            aim = f"uncertainty (goal: {place.threat.goal_text})"
        parts = [
            f"The images that are kept have the least uncertainty: {_SCORES[self.score]}. Attacked {which}, which aims "
            f"at the {aim}. The accuracy is that of the attacked inputs, where at least {LEAST} images are kept. "
            "Bands, of clean and of the largest radius: 95% Wilson interval of the kept images, at each share alone.",
            care_in([one for panel in panels for one in panel.series]),
            place.about,
        ]
        caption = " ".join(filter(None, parts))
        return Picture(place.name, f"Selective accuracy: {place.title}", y, panels, caption)

    def _all(self, group: Any, attacks: Sequence[tuple[Any, list[Any]]]) -> list[Series]:
        """The clean line, and that of each radius, of which the last is the largest."""
        first = attacks[0][1]
        series = [self._series("clean", first, lacks_seed(group, first), attacked=False)]
        for line, cells in attacks:
            care = needs_care(group, cells) or _may_be_stronger(line, group)
            band = line is attacks[-1][0]  # More bands would hide one another.
            series.append(self._series(f"attacked, radius {line.radius}", cells, care, band=band))
        return series

    def _series(
        self, label: str, cells: Sequence[Any], care: bool, *, attacked: bool = True, band: bool = True
    ) -> Series:
        """The accuracy at each share, the mean over the cells of all seeds, with its interval."""
        outcomes = [cell.outcome for cell in cells]
        images = len(outcomes[0])
        shares = [share for share in SHARES if share == 1 or share * images >= LEAST]
        means = [
            sum(one.selective_accuracy(share, score=self.score, attacked=attacked) for one in outcomes) / len(outcomes)
            for share in shares
        ]
        # An accuracy over ties is a mean over their orders, so that it may count parts of images.
        points = [with_interval(mean, round(share * images)) for mean, share in zip(means, shares, strict=True)]
        y, low, high = zip(*points, strict=True)
        role: Literal["plain", "strong"] = "plain" if attacked else "strong"
        return Series(label, shares, y, low, high, role=role, open=[care] * len(shares), band=band)


def _strongest(line: Any) -> list[Any]:
    """The cells of the attack of the lowest robust accuracy among those of a line that go on; may be empty."""
    whole = [cells for cells in _going_on(line) if all(cell.ok for cell in cells)]
    return min(whole, key=lambda cells: sum(cell.figures["robust_accuracy"] for cell in cells) / len(cells), default=[])


def _may_be_stronger(line: Any, group: Any) -> bool:
    """Whether an attack of a line that goes on lacks a result, so that it might be the strongest."""
    return any(lacks_seed(group, cells) for cells in _going_on(line))


def _going_on(line: Any) -> list[list[Any]]:
    """The cells of each attack of a line that goes on at misclassified images."""
    return [cells for cells in by_attack(line.cells).values() if not cells[0].spec.component.stops_early]
