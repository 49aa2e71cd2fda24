"""Descriptions of pictures: what they hold, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bnnbench as bb

X = bb.Axis("x")


def test_numbers_of_numpy_become_plain_ones() -> None:
    series = bb.Series("a", np.array([1, 2]), np.array([0.5, 0.25], "float32"), open=np.array([True, False]))
    assert (series.x, series.y, series.low, series.open) == ((1.0, 2.0), (0.5, 0.25), (), (True, False))
    assert bb.Axis("x", ticks=np.array([1, 2])).ticks == (1.0, 2.0)
    assert bb.Panel("p", X, iter([series])).series == (series,)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: bb.Series("a", [1, 2], [1]), "series 'a': x has 2, y has 1 values"),
        (lambda: bb.Series("a", [1, 2], [1, 2], low=[0, 1]), "series 'a': x has 2, y has 2, low has 2, high has 0"),
        (lambda: bb.Series("a", [], []), "series 'a' has no points"),
        (lambda: bb.Series("a", [1], [float("nan")]), "y of the series 'a' are not all finite"),
        (lambda: bb.Series("a", [1], ["b"]), "y of the series 'a' are not numbers"),
        (lambda: bb.Series("a", [1], None), "y of the series 'a' are not numbers"),
        (lambda: bb.Series("a", [1], [1], open=[True, True]), "series 'a': open has 2 values and x 1"),
        (lambda: bb.Area("b", [1], [1], []), "area 'b': x has 1, low has 1, high has 0 values"),
        (lambda: bb.Area("b", [2, 1], [1, 1], [1, 1], steps=True), "x of the area 'b' does not rise"),
        (lambda: bb.Axis("x", ticks=[float("inf")]), "ticks of the axis 'x' are not all finite"),
        (lambda: bb.Picture("p", "t", X, []), "the picture 'p' has no panels"),
        (lambda: bb.Panel("q", X, [bb.Area("b", [1], [1], [1])]), "series of the panel 'q': Series is meant, not Area"),
    ],
)
def test_what_does_not_belong_together_is_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises((ValueError, TypeError)) as failure:
        make()
    assert told in str(failure.value)
