"""Radii as people write them: numbers, and fractions such as `8/255`."""

from __future__ import annotations

import re

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
FRACTION = rf"^\s*[-+]?{_NUMBER}\s*/\s*{_NUMBER}\s*$"
"""The pattern of a fraction; its parts may be decimal numbers, as in `0.5/255`."""
LEVELS = 255
"""The largest value of a pixel of one byte. Radii are often stated in these units."""
_LONGEST = 60
"""The largest length of a fraction: Python refuses to convert integers of thousands of digits."""


def fraction_of(text: str) -> float:
    """The value of a fraction: the float that Python's division gives, so that `8/255` is exactly `8 / 255`.

    Raises `ValueError` for any other text, and for a division by zero.
    """
    if len(text) > _LONGEST or not re.match(FRACTION, text, re.ASCII):
        raise ValueError("a number or a fraction such as 8/255 is meant")
    above, below = (_number(part) for part in text.split("/"))
    if below == 0:
        raise ValueError("a fraction cannot be divided by zero")
    return above / below


def radius_of(text: str) -> float:
    """The radius that a text states, a number or a fraction. Raises `ValueError` for any other text."""
    if re.fullmatch(rf"\s*[-+]?{_NUMBER}\s*", text, re.ASCII) and len(text) <= _LONGEST:
        return float(text)
    return fraction_of(text)


def radius_text(radius: float) -> str:
    """The shortest text that states a radius exactly, such as `8`, `0.05` or `0.03137254901960784`."""
    short = f"{radius:g}"
    return short if float(short) == radius else repr(float(radius))


def level_text(radius: float) -> str:
    """A text that states a radius exactly, such as `0.05`, `8/255` or `0.12345678901`.

    A long decimal number is written as a number of 255ths, if it is one.
    """
    exact, steps = radius_text(radius), round(radius * LEVELS)
    is_level = 0 < steps < LEVELS and steps / LEVELS == radius and exact != f"{radius:g}"
    return f"{steps}/{LEVELS}" if is_level else exact


def short_radius(radius: float) -> str:
    """A radius for people: `8/255` for 0.03137254901960784, and any other number with at most six digits."""
    text = level_text(radius)
    return text if "/" in text else f"{radius:g}"


def _number(text: str) -> float:
    return int(text) if text.strip().lstrip("+-").isdigit() else float(text)
