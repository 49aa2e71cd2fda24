"""What the checks have in common that compare images which one attack breaks and others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from bnnbench import Check, Look
from bnnbench.authoring import mcnemar_more

if TYPE_CHECKING:
    import numpy as np


def only(breaking: Any, standing: Any) -> int:
    """The number of images (N,) that `standing` says withstand, and that do not withstand by `breaking`."""
    return int((standing & ~breaking).sum())


class FindsMore(Check):
    """A check that fires if other attacks break more images than the reported ones, more than chance and trifles.

    `more` compares the reported worst case with that of both together, which can only be lower: with b further images
    the p-value is 2 ** -b, so five are needed at 5%. `stronger` compares it with the others alone.
    """

    points: float = Field(default=0.5, ge=0, le=100)
    """The least gain, in points of robust accuracy. Half a point is what a reader would round away."""
    significance: float = Field(default=0.05, gt=0, lt=1)
    """The largest p-value of McNemar's exact test, one-sided: the reported worst case against that with the others."""

    def more(self, found: np.ndarray, standing: np.ndarray, words: str, remedy: str) -> Look:
        """The look at the images (N,) that withstand the others (`found`) and the reported attacks (`standing`).

        `words` says what breaks them, as in `twice the steps`.
        """
        further, images = only(found, standing), len(standing)
        gain, p = 100 * further / images, mcnemar_more(further, 0)
        fired = gain > self.points and p < self.significance
        text = (
            f"with {words}, {further} further images of {images} fall: {gain:.1f} points "
            f"(flag above {self.points:g} points with p below {self.significance:g}; p {p:.2g})"
        )
        return Look(fired, gain, self.points, text, remedy if fired else "")

    def stronger(self, found: np.ndarray, standing: np.ndarray, words: str, remedy: str) -> Look:
        """The look at whether the others alone break more images than the reported attacks. Arguments as in `more`."""
        further, fewer, images = only(found, standing), only(standing, found), len(standing)
        gain, p = 100 * (further - fewer) / images, mcnemar_more(further, fewer)
        fired = gain > self.points and p < self.significance
        text = (
            f"with {words}, {further} further images of {images} fall, and {fewer} do not: {gain:.1f} points "
            f"(flag above {self.points:g} points with p below {self.significance:g}; p {p:.2g})"
        )
        return Look(fired, gain, self.points, text, remedy if fired else "")
