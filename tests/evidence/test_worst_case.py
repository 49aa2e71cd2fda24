"""The worst case over attacks, seed by seed and over seeds."""

from __future__ import annotations

import pytest
from outcomes import cell, outcome

from bnnbench.evidence.worst_case import worst_of
from bnnbench.statistics.intervals import wilson


def test_the_worst_case_is_per_image_and_averaged_over_seeds() -> None:
    cells = [
        cell("a", 0, outcome("1111110000")),
        cell("b", 0, outcome("0000111111")),
        cell("a", 1, outcome("1111110000")),
        cell("b", 1, outcome("1111111111")),
    ]
    worst = worst_of(cells, 2, [0, 1])
    assert worst.accuracy is not None
    assert worst.accuracy.seeds == (0.2, 0.6)
    assert worst.accuracy.mean == pytest.approx(0.4)
    assert (worst.accuracy.low, worst.accuracy.high) == pytest.approx(wilson(4, 10))
    assert not worst.partial


def test_it_is_partial_if_it_lacks_an_attack_or_a_seed() -> None:
    found = [cell("a", 0, outcome("1111110000"))]
    assert not worst_of(found, 1, [0]).partial
    assert worst_of(found, 2, [0]).partial
    assert worst_of(found, 1, [0, 1]).partial
    nothing = worst_of([cell("a", 0, None, status="failed")], 1, [0])
    assert (nothing.accuracy, nothing.partial) == (None, True)
