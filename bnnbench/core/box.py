"""The rounding that values may show at the ends of a box."""

from __future__ import annotations

FLOAT32 = 2.0**-23
"""The distance from 1 to the next float32."""


def rounding(low: float, high: float, precision: float = FLOAT32) -> float:
    """The distance by which inputs that were computed in floats may miss their box, as normalised images do.

    It allows for a few operations that each round at the larger end of the box. `precision` is the distance from 1 to
    the next float of the inputs' type.
    """
    return 4 * precision * max(abs(low), abs(high))


def same_box(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two boxes are the same up to the rounding of float32."""
    slack = rounding(*other)
    return all(abs(end - end_of_other) <= slack for end, end_of_other in zip(one, other, strict=True))
