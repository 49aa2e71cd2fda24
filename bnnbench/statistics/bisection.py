"""Where a condition on a number ceases to hold."""

from __future__ import annotations

from collections.abc import Callable

HALVINGS = 60
"""The number of halvings: more than a float of the size of the bounds can tell apart."""


def last_that_holds(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The number furthest from `inside`, towards `outside`, at which a condition still holds.

    The condition holds at `inside` and not at `outside`, where it is never asked. Between them it ceases to hold once.
    """
    for _ in range(HALVINGS):
        middle = (outside + inside) / 2
        if middle in (inside, outside):
            break
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside
