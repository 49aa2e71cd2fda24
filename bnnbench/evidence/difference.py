"""The difference of two robust accuracies on the same images, with its interval and its test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.threat import Threat
from bnnbench.errors import clean
from bnnbench.measurements.findings import REFUTING
from bnnbench.statistics.paired import holm, mcnemar, paired_interval
from bnnbench.statistics.two_way import across_seeds

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05
"""The largest adjusted p-value of a difference that holds."""
Robust = NDArray[np.bool_]
"""Whether each image is robust at each seed, (seeds, images)."""


@dataclass(frozen=True)
class Pair:
    """What is compared: two posteriors, two attacks on one fit, or the same line of two results.

    `dataset` and `network` are labels. `posterior` is empty if posteriors are compared. `attack` is that of both, or
    `worst` for the worst case over their attacks; it is empty if attacks are compared. `epsilon_text` is the radius of
    the `threat` as the file writes it. `marks` are those of the first and of the second: `~` if its posterior is short,
    and those of findings by which its number is no evidence. `partial` says that one of the two has an attack or
    a seed that is left out, because the other one has no outcome of it.
    """

    compared: Literal["posteriors", "attacks", "results"]
    first: str
    second: str
    dataset: str
    network: str
    posterior: str
    attack: str
    threat: Threat
    epsilon_text: str
    seeds: tuple[int, ...]
    marks: tuple[str, str] = ("", "")
    partial: bool = False

    @property
    def refuted(self) -> bool:
        """Whether a finding says that one of the two numbers is no evidence."""
        return any(mark in REFUTING for marks in self.marks for mark in marks)


@dataclass(frozen=True)
class Difference:
    """The robust accuracy of the first of a pair less that of the second, as a share of the `images`.

    Under another goal than `untargeted` it is the share of images that withstood.

    `low` and `high` are the bounds of its 95% interval, and `p` is the p-value of no difference. `p_adjusted` is
    adjusted by Holm's method for all differences of one list. `only_first` and `only_second` count the images that are
    robust in the first alone and in the second alone; over several seeds they are means.
    """

    pair: Pair
    first_accuracy: float
    second_accuracy: float
    low: float
    high: float
    p: float
    p_adjusted: float
    only_first: float
    only_second: float
    images: int

    @property
    def difference(self) -> float:
        """The first accuracy less the second one, in [-1, 1]."""
        return (self.only_first - self.only_second) / self.images

    @property
    def holds(self) -> bool:
        """Whether the adjusted p-value is at most 5%, and both numbers are evidence."""
        return self.p_adjusted <= LEVEL and not self.pair.refuted

    @property
    def method(self) -> str:
        """How interval and p-value were computed: `paired` for one seed, `two-way bootstrap` for several."""
        return "paired" if len(self.pair.seeds) == 1 else "two-way bootstrap"

    def row(self) -> dict[str, Any]:
        """The fields of the difference by column, in a fixed order."""
        pair, threat = self.pair, self.pair.threat
        return {
            "compared": pair.compared,
            "first": pair.first,
            "second": pair.second,
            "dataset": pair.dataset,
            "network": pair.network,
            "posterior": pair.posterior,
            "attack": pair.attack,
            "epsilon": threat.epsilon,
            "epsilon_text": pair.epsilon_text,
            "norm": threat.norm,
            "stream": threat.stream,
            "access": threat.access,
            "goal": threat.goal,
            "queries": threat.queries,
            "seeds": list(pair.seeds),
            "images": self.images,
            "first_accuracy": self.first_accuracy,
            "second_accuracy": self.second_accuracy,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "holds": self.holds,
            "method": self.method,
            "first_marks": pair.marks[0],
            "second_marks": pair.marks[1],
            "partial": pair.partial,
        }


class Differences(list[Difference]):
    """Differences whose p-values are adjusted for all of them; `left_out` pairs have no common outcome."""

    left_out: int = 0

    @classmethod
    def of(cls, found: Sequence[Difference], left_out: int = 0) -> Differences:
        """These differences, with their p-values adjusted by Holm's method."""
        adjusted = holm([one.p for one in found])
        made = cls(replace(one, p_adjusted=p) for one, p in zip(found, adjusted, strict=True))
        made.left_out = left_out
        return made

    def __repr__(self) -> str:
        return "\n".join(map(_line, self)) or "no differences"

    def frame(self) -> pandas.DataFrame:
        """A pandas data frame with a row for each difference."""
        import pandas

        return pandas.DataFrame([one.row() for one in self])


def difference_of(pair: Pair, first: Robust, second: Robust) -> Difference:
    """The difference of a pair, from where each of the two is robust; its p-value is not adjusted.

    At one seed the p-value is that of McNemar's exact test, and the interval Tango's. At several seeds that interval,
    at the mean counts of images, is widened to the one of the two-way bootstrap where this is wider. The p-value is
    then the larger of two: that of the bootstrap, and McNemar's at the mean counts, rounded towards each other.
    """
    seeds, images = first.shape
    only_first, only_second = (first & ~second).sum() / seeds, (second & ~first).sum() / seeds
    low, high = paired_interval(only_first, only_second, images)
    more, fewer = max(only_first, only_second), min(only_first, only_second)
    p = mcnemar(math.floor(more), math.ceil(fewer))
    if seeds > 1 and images > 1:
        below, above, across = across_seeds(first.astype(int) - second.astype(int))
        low, high, p = max(-1.0, min(low, below)), min(1.0, max(high, above)), max(p, across)
    accuracies = float(first.mean()), float(second.mean())
    return Difference(pair, *accuracies, low, high, p, p, float(only_first), float(only_second), images)


def _line(one: Difference) -> str:
    """A difference on one line, for consoles."""
    pair, percent = one.pair, [100 * value for value in (one.difference, one.low, one.high)]
    where = " ".join(filter(None, (pair.dataset, pair.network, pair.posterior, pair.attack, pair.epsilon_text)))
    figures = f"{percent[0]:+.1f} points [{percent[1]:.1f}, {percent[2]:.1f}], p {one.p_adjusted:.3g} (Holm)"
    verdict = ", no evidence" if pair.refuted else ", holds" * one.holds
    return clean(f"{where}: {pair.first} less {pair.second}: {figures}{verdict}")
