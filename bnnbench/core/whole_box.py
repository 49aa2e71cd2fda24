"""Compare the radius of a threat with the box of the data: a ball that holds the whole box is a mistake of units."""

from __future__ import annotations

import math

from bnnbench.core.ball import TOLERANCE
from bnnbench.core.radius import LEVELS, radius_text
from bnnbench.core.threat import Threat


def whole_box(threat: Threat, bounds: tuple[float, float], shape: tuple[int, ...] | None) -> str:
    """The reason why a threat's radius is refused: its ball around any input holds the whole box.

    Empty if it does not. `bounds` is the box and `shape` the shape of one input; without a shape only linf balls can be
    judged, and the result is empty for others.
    """
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
    """Raise `ValueError` if a threat's ball holds the whole box, unless that is allowed."""
    reason = "" if allow_whole_box else whole_box(threat, bounds, shape)
    if reason:
        raise ValueError(f"{reason} (allow_whole_box=True permits it)")
