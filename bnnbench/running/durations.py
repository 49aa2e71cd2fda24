"""Durations in messages."""

from __future__ import annotations


def duration(seconds: float, digits: int = 0) -> str:
    """A duration in the unit that a person would use: `4.7 s`, `35 min`, `3 h 20 min` or `51 h`.

    Seconds have so many `digits` after the point.
    """
    if seconds < 120:
        return f"{seconds:.{digits}f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 600 else f"{round(minutes / 60)} h"
