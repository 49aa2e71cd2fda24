"""The notes below a table about its differences: which of them hold, the largest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from bnnbench.core.threat import Threat
from bnnbench.errors import ConfigError
from bnnbench.evidence.difference import Difference, Differences
from bnnbench.evidence.differences import between_posteriors
from bnnbench.evidence.lines import Group
from bnnbench.plugins.described import counted

MOST = 3
"""The largest number of differences that are told."""
MOST_COMPARED = 1000
"""The largest number of differences that are computed: a second, at several seeds."""


def difference_notes(group: Group, threats: Mapping[Threat, str]) -> list[str]:
    """The notes about the differences between the posteriors of a table; none if nothing can be compared.

    `threats` are the names of the table's threats. The p-values are adjusted for all differences of the table.
    """
    if (pairs := _pairs(group)) > MOST_COMPARED:
        return [f"{pairs} comparisons between posteriors: bnnbench compare lists which differences hold"]
    try:
        found = between_posteriors([group])
    except ConfigError as error:  # The table itself does not pair images.
        return error.problems
    if not found:
        return []
    refuted = sum(one.pair.refuted for one in found)
    neither = "holds neither" if refuted == 1 else "hold neither"
    left_out = [f"{counted(refuted, 'difference')} of numbers that are no evidence {neither}"] if refuted else []
    return [*_holding(found, threats), *left_out]


def _holding(found: Differences, threats: Mapping[Threat, str]) -> list[str]:
    """The notes about the differences that hold."""
    holding = sorted((one for one in found if one.holds), key=lambda one: -abs(one.difference))
    if not holding:
        return [f"no difference between posteriors holds at 5% ({_test(found)})"]
    lines = [_sentence(one, threats) for one in holding[:MOST]]
    left = len(holding) - MOST
    more = f"; {left} more {'does' if left == 1 else 'do'}" if left > 0 else ""
    which = "these differences hold" if len(lines) > 1 else "this difference holds"
    return [*lines, f"{which} at 5% ({_test(found)}){more}: bnnbench compare lists all"]


def _pairs(group: Group) -> int:
    """The number of pairs of lines that have attacks, and one threat."""
    lines = Counter(line.threat for line in group.lines if line.cells)
    return sum(math.comb(count, 2) for count in lines.values())


def _test(found: Differences) -> str:
    """The test of differences in words."""
    several = any(len(one.pair.seeds) > 1 for one in found)
    test = "two-way bootstrap over images and seeds" if several else "exact McNemar"
    return f"worst case, {test}, Holm over {counted(len(found), 'comparison')}"


def _sentence(one: Difference, threats: Mapping[Threat, str]) -> str:
    """A difference as a sentence about the more robust posterior: `vi over hmc~ at 0.1: +12.8 points [8.1, 17.5]`."""
    pair, bounds = one.pair, (one.low, one.high)
    names = [name + marks for name, marks in zip((pair.first, pair.second), pair.marks, strict=True)]
    if one.difference < 0:
        names, bounds = names[::-1], (-one.high, -one.low)
    low, high = (points(bound, one.images) for bound in bounds)
    size = points(abs(one.difference), one.images)
    return f"{names[0]} over {names[1]} at {threats[pair.threat]}: +{size} points [{low}, {high}]"


def points(share: float, images: int) -> str:
    """A share in points, with two decimals above 1000 images and otherwise one, as accuracies have."""
    text = f"{100 * share:.{2 if images > 1000 else 1}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text
