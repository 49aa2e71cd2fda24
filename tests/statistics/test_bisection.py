"""Where a condition on a number ceases to hold."""

from __future__ import annotations

import math

import pytest

from bnnbench.statistics.bisection import last_that_holds


@pytest.mark.parametrize(("inside", "outside", "towards"), [(0.0, 2.0, 2.0), (0.0, -2.0, -2.0)])
def test_it_is_the_last_float_that_holds(inside: float, outside: float, towards: float) -> None:
    found = last_that_holds(lambda value: value * value <= 2, inside, outside)
    assert found * found <= 2 < math.nextafter(found, towards) ** 2


@pytest.mark.parametrize("holds", [True, False])
def test_the_bounds_are_not_asked(holds: bool) -> None:
    """At an end a condition may not be defined, such as the logarithm of a probability of 0."""
    asked = []
    found = last_that_holds(lambda value: bool(asked.append(value)) or holds, 0.25, 1.0)
    assert 0.25 not in asked
    assert 1.0 not in asked
    assert found == (math.nextafter(1.0, 0.0) if holds else 0.25)
