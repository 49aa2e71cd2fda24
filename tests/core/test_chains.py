"""Chains are joined with their diagnostics."""

from __future__ import annotations

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.core.chains import joined


def chain(value: float, **diagnostics: object) -> bb.Draws:
    return bb.Draws({"w": np.full((1, 2, 3), value)}, shared={"b": np.ones(2)}, diagnostics=diagnostics)


def test_chains_are_put_one_behind_another_with_what_is_known_of_them() -> None:
    both = joined(
        [
            chain(0.0, gradients=3, divergences=np.array([[True, False]]), unfinished="x", lost=[None, 1.0], bad=None),
            chain(1.0, gradients=4, divergences=[[False, False]], unfinished="x", lost=[2.0, 3.0], bad=1),
        ]
    )
    assert both.arrays["w"].shape == (2, 2, 3)
    assert both.arrays["w"][:, 0, 0].tolist() == [0, 1]
    assert both.shared["b"].tolist() == [1, 1]
    assert both.diagnostics["gradients"] == 7
    assert both.diagnostics["divergences"].tolist() == [[True, False], [False, False]]
    assert both.diagnostics["unfinished"] == "x"
    assert np.isnan(both.diagnostics["lost"][0])
    assert np.isnan(both.diagnostics["bad"]), "a number that was not finite is null in a file"


@pytest.mark.parametrize(
    "other",
    [
        bb.Draws({"v": np.zeros((1, 2, 3))}, shared={"b": np.ones(2)}),
        bb.Draws({"w": np.zeros((1, 2, 4))}, shared={"b": np.ones(2)}),
        bb.Draws({"w": np.zeros((1, 2, 3))}, shared={"b": np.zeros(2)}),
        bb.Draws({"w": np.zeros((1, 2, 3))}),
        chain(0.0, gradients=1),
    ],
)
def test_chains_that_do_not_fit_together_are_refused(other: bb.Draws) -> None:
    with pytest.raises(ValueError, match=r"chains do not have the same|dimensions"):
        joined([chain(0.0), other])
