"""Radii that look like ones in other units than the box are refused."""

from __future__ import annotations

from typing import Any

import pytest

import bnnbench as bb
from bnnbench.core.whole_box import check_radius, refused_radius

IMAGE = (1, 8, 8)
HOLDS = "the {} ball of radius {} holds the whole box {}, so that any input is allowed"


@pytest.mark.parametrize(
    ("threat", "bounds", "told"),
    [
        ({"epsilon": 8}, (0, 1), HOLDS.format("linf", 8, "[0, 1]") + "; 8 looks like 8/255"),
        ({"epsilon": 255}, (0, 1), "255 looks like 255/255"),
        ({"epsilon": 8, "norm": "l2"}, (0, 1), HOLDS.format("l2", 8, "[0, 1]")),
        ({"epsilon": 9, "norm": "l2"}, (0, 1), "9 looks like 9/255"),
        ({"epsilon": 64, "norm": "l1"}, (0, 1), HOLDS.format("l1", 64, "[0, 1]")),
        ({"epsilon": 8}, (-1, 1), "8 looks like 8/255 of the box's width, which is 0.06275"),
        ({"epsilon": 2}, (-1, 1), HOLDS.format("linf", 2, "[-1, 1]")),
        ({"epsilon": 1.0}, (0, 1), "radius 1 holds the whole box"),
        ({"epsilon": 1.5}, (0, 1), "radius 1.5 holds the whole box"),
        ({"epsilon": 256}, (0, 1), "radius 256 holds the whole box"),
        ({"epsilon": 8 / 255}, (0, 255), "the radius 8/255 is far below one level of the box [0, 255], and looks like"),
        ({"epsilon": 1 / 255}, (-128, 127), "looks like that of a box [0, 1]: here that is 1"),
        ({"epsilon": 0.1}, (0, 255), "looks like that of a box [0, 1]: here that is 25.5"),
        ({"epsilon": 1 / 0.3081}, (-0.1307 / 0.3081, (1 - 0.1307) / 0.3081), "box [-0.424213, 2.82149]"),
    ],
)
def test_a_radius_in_other_units_is_told_with_the_one_that_was_meant(
    threat: dict[str, Any], bounds: tuple[float, float], told: str
) -> None:
    asked = bb.Threat(**{**threat, "epsilon": float(threat["epsilon"])})
    reason = refused_radius(asked, bounds, IMAGE)
    assert told in reason
    assert ("looks like" in reason) == ("looks like" in told)
    with pytest.raises(ValueError, match=r"\(allow_whole_box=True permits it\)"):
        check_radius(asked, bounds, IMAGE)
    check_radius(asked, bounds, IMAGE, allow_whole_box=True)


@pytest.mark.parametrize(
    ("threat", "bounds"),
    [
        ({"epsilon": 0.999}, (0, 1)),
        ({"epsilon": 8.0}, (0, 255)),
        ({"epsilon": 0.5}, (0, 255)),
        ({"epsilon": 0.0}, (0, 255)),
        ({"epsilon": 0.1, "norm": "l2"}, (0, 255)),
        ({"epsilon": 0.1}, (0, 1000)),
        ({"epsilon": 1.5}, (-1, 1)),
        ({"epsilon": 7.9, "norm": "l2"}, (0, 1)),
        ({"epsilon": 63.0, "norm": "l1"}, (0, 1)),
        ({"epsilon": 0.0}, (0, 1)),
    ],
)
def test_other_balls_are_left_alone(threat: dict[str, Any], bounds: tuple[float, float]) -> None:
    assert refused_radius(bb.Threat(**threat), bounds, IMAGE) == ""
    check_radius(bb.Threat(**threat), bounds, IMAGE)


def test_only_linf_balls_are_judged_without_the_number_of_coordinates() -> None:
    assert refused_radius(bb.Threat(epsilon=1000.0, norm="l2"), (0, 1), None) == ""
    assert refused_radius(bb.Threat(epsilon=1000.0, norm="l1"), (0, 1), None) == ""
    assert refused_radius(bb.Threat(epsilon=1000.0), (0, 1), None)
