"""What the checks have in common that compare images which one attack breaks and others do not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from bnnbench import Attack, Case, Check, Look, NotApplicable

if TYPE_CHECKING:
    from bnnbench import Threat


def only(breaking: Any, standing: Any) -> int:
    """The number of images (N,) that `standing` says withstand, and that do not withstand by `breaking`."""
    return int((standing & ~breaking).sum())


def lacks_draws(case: Case) -> bool:
    """Whether the attacker of the reported attacks lacks some of the draws that defend."""
    return case.threat.stream != "fixed" or any(one.attack_draws < one.draws for one in case.reported.values())


def advice(case: Case, otherwise: str) -> str:
    """What to do about attacks that fail: to give them the draws that defend if they lack some, or something else."""
    if lacks_draws(case):
        return "the attacker lacks draws that defend: report one that has them (A12)"
    return otherwise


@dataclass(frozen=True, eq=False)
class Withstood:
    """The images (N,) that withstand some attacks, as far as these have outcomes.

    `absent` says why an attack has no outcome; it is empty if all have one. What the others break is a fact in any
    case. That they break nothing says nothing about the absent one.
    """

    robust: np.ndarray
    absent: str = ""

    def look(self, look: Look) -> Look:
        """The look, if it fired or all attacks have outcomes. Raises `NotApplicable` otherwise."""
        if self.absent and not look.fired:
            raise NotApplicable(self.absent)
        return look


def withstood(case: Case, attacks: Iterable[Attack], threat: Threat | None = None) -> Withstood:
    """The images that withstand attacks under a threat, by default that of the case.

    Raises `NotApplicable` if no attack has an outcome.
    """
    found, absent = [], ""
    for one in attacks:
        try:
            found.append(case.outcome(one, threat).robust)
        except NotApplicable as error:
            absent = str(error) or "it has no outcome"
    if not found:
        raise NotApplicable(absent or "there is no such attack")
    return Withstood(np.logical_and.reduce(found), absent)


def alike(case: Case, own: Attack, having: Collection[str], lacking: Collection[str] = ()) -> dict[str, Attack]:
    """The reported attacks with outcomes that have one of some traits and none of others, by label, without `own`.

    They have the threat and the images of the case, as the attack has that a check asks for itself (`own`).
    """
    labels = case.labels(having=having, lacking=lacking)
    return {label: case.attacks[label] for label in labels if case.attacks[label] != own}


def joined(words: str, labels: Iterable[str]) -> str:
    """The words for the attack of a check, and the labels of the reported attacks that count beside it."""
    named = ", ".join(labels)
    return f"{words} (or the reported {named})" if named else words


def counted(number: int, what: str = "") -> str:
    """A number of images, with a word before the noun if one is given: `1 image`, `2 further images`."""
    return f"{number} {what}{' ' if what else ''}image{'' if number == 1 else 's'}"


class FindsMore(Check):
    """A check that fires if other attacks break enough images that withstand the reported ones.

    Each such image is a fact, not a chance, so no test is made: the reported worst case with other attacks added can
    only be lower. The thresholds say when the error counts.
    """

    images: int = Field(default=2, ge=1)
    """The least number of further images. A single one may be where two attacks ended on two sides of a boundary."""
    points: float = Field(default=0.5, ge=0, le=100)
    """The gain, in points of robust accuracy, above which the flag is raised. Half a point would be rounded away."""

    def more(self, found: Withstood, standing: np.ndarray, words: str, remedy: str) -> Look:
        """The look at the images (N,) that withstand the others (`found`) and the reported attacks (`standing`).

        `words` says what breaks them, as in `twice the steps`. Raises `NotApplicable` if too few images withstand, or
        if an attack has no outcome and the others do not raise the flag.
        """
        self.enough(standing)
        further, images = only(found.robust, standing), len(standing)
        gain, fired = 100 * further / images, self.suffice(further, images)
        text = (
            f"with {words}, {counted(further, 'further')} of {images} {'falls' if further == 1 else 'fall'}: "
            f"{gain:.1f} points ({self.rule})"
        )
        return found.look(Look(fired, gain, self.points, text, remedy if fired else ""))

    def enough(self, standing: np.ndarray) -> None:
        """Raise `NotApplicable` if some images (N,) withstand, and fewer than `images`, so that no flag can be raised.

        If none withstands, there is nothing to find. If all that do make no more than `points`, none matters.
        """
        count = int(standing.sum())
        if 0 < count < self.images:
            told = "1 image withstands" if count == 1 else f"{count} images withstand"
            raise NotApplicable(f"{told} of {len(standing)}, too few to raise it ({self.rule})")

    def suffice(self, further: int, images: int) -> bool:
        """Whether so many further images of all raise the flag."""
        return further >= self.images and 100 * further / images > self.points

    @property
    def rule(self) -> str:
        """When the flag is raised."""
        return f"flag from {self.images} image{'s' * (self.images != 1)} and above {self.points:g} points"
