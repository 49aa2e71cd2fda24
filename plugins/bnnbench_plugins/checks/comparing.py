"""What the checks have in common that compare images which one attack breaks and others do not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from bnnbench import Attack, Case, Check, Look, NotApplicable
from bnnbench.authoring import mcnemar_more

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


class FindsMore(Check):
    """A check that fires if other attacks break more images than the reported ones, more than chance and trifles.

    `more` compares the reported worst case with that of both together, which can only be lower: with b further images
    the p-value is 2 ** -b, so five are needed at 5%. `stronger` compares it with the others alone.
    """

    points: float = Field(default=0.5, ge=0, le=100)
    """The least gain, in points of robust accuracy. Half a point is what a reader would round away."""
    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value of McNemar's exact test, one-sided: the reported worst case against that with the others."""

    def more(self, found: Withstood, standing: np.ndarray, words: str, remedy: str) -> Look:
        """The look at the images (N,) that withstand the others (`found`) and the reported attacks (`standing`).

        `words` says what breaks them, as in `twice the steps`. Raises `NotApplicable` if an attack has no outcome and
        the others do not raise the flag.
        """
        further, images = only(found.robust, standing), len(standing)
        gain, p = 100 * further / images, mcnemar_more(further, 0)
        fired = gain > self.points and p < self.significance
        text = (
            f"with {words}, {further} further images of {images} fall: {gain:.1f} points "
            f"(flag above {self.points:g} points with p below {self.significance:g}; p {p:.2g})"
        )
        return found.look(Look(fired, gain, self.points, text, remedy if fired else ""))

    def stronger(self, found: Withstood, standing: np.ndarray, words: str, remedy: str) -> Look:
        """The look at whether the others alone break more images than the reported attacks; otherwise as `more`."""
        further, fewer, images = only(found.robust, standing), only(standing, found.robust), len(standing)
        gain, p = 100 * (further - fewer) / images, mcnemar_more(further, fewer)
        fired = gain > self.points and p < self.significance
        text = (
            f"with {words}, {further} further images of {images} fall, and {fewer} do not: {gain:.1f} points "
            f"(flag above {self.points:g} points with p below {self.significance:g}; p {p:.2g})"
        )
        return found.look(Look(fired, gain, self.points, text, remedy if fired else ""))
