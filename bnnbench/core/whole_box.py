"""Compare the radius of a threat with the box of the data: one far too large or too small is a mistake of units."""

from __future__ import annotations

import math

from bnnbench.core.ball import TOLERANCE
from bnnbench.core.radius import LEVELS, level_text, radius_text
from bnnbench.core.threat import Threat

SMALL = 0.2
"""The linf radius below which it is taken for one of a box [0, 1], where the box is one of bytes."""


def refused_radius(threat: Threat, bounds: tuple[float, float], shape: tuple[int, ...] | None) -> str:
    """The reason why a threat's radius is refused; empty if it is not.

    Its ball around any input may hold the whole box, or the box may be one of bytes and the radius that of a box
    [0, 1]. `bounds` is the box and `shape` the shape of one input. Without a shape only linf balls can be judged, and
    the result is empty for others.
    """
    return _too_small(threat, bounds) or _whole_box(threat, bounds, shape)


def _too_small(threat: Threat, bounds: tuple[float, float]) -> str:
    low, high = bounds
    if threat.norm != "linf" or high - low != LEVELS or threat.epsilon == 0:
        return ""
    radius, level = level_text(threat.epsilon), threat.epsilon * LEVELS
    if threat.epsilon >= SMALL and "/" not in radius:
        return ""
    return (
        f"the radius {radius} is far below one level of the box [{low:g}, {high:g}], and looks like that of a box "
        f"[0, 1]: here that is {level:.4g}"
    )


def _whole_box(threat: Threat, bounds: tuple[float, float], shape: tuple[int, ...] | None) -> str:
    low, high = bounds
    width, norm = high - low, threat.norm
    if norm != "linf" and shape is None:
        return ""
    holding = threat.ball.covering(width, math.prod(shape or ()))
    if threat.epsilon < holding * (1 - TOLERANCE):
        return ""
    radius = radius_text(threat.epsilon)
    reason = f"the {norm} ball of radius {radius} holds the whole box [{low:g}, {high:g}], so that any input is allowed"
    if holding < threat.epsilon <= LEVELS and float(threat.epsilon).is_integer():
        reason += f"; {radius} looks like {radius}/{LEVELS}"
        if width != 1:
            reason += f" of the box's width, which is {width * threat.epsilon / LEVELS:.4g}"
    return reason


def check_radius(
    threat: Threat, bounds: tuple[float, float], shape: tuple[int, ...], *, allow_whole_box: bool = False
) -> None:
    """Raise `ValueError` if a threat's radius looks like one in other units than the box, unless that is allowed."""
    reason = "" if allow_whole_box else refused_radius(threat, bounds, shape)
    if reason:
        raise ValueError(f"{reason} (allow_whole_box=True permits it)")
