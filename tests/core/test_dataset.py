"""Data that break a rule are refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

import bnnbench as bb


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        ((np.ones((3, 2)) * 2, np.zeros(3, int)), None, "outside the box"),
        ((np.full((3, 2), np.nan), np.zeros(3, int)), None, "finite"),
        ((np.ones((3, 2)), np.zeros(2, int)), None, r"labels of shape \(2,\) for 3 inputs"),
        ((np.ones((3, 2)), np.zeros(3)), None, "not integers"),
        ((np.ones((3, 2)), np.array([0, 1, -1])), None, "negative label"),
        ((np.ones(3), np.zeros(3, int)), None, "was expected"),
        ((np.ones((3, 2)), np.array([0, 1, 0])), (np.ones((3, 3)), np.array([0, 1, 0])), "test inputs"),
        ((np.ones((3, 2)), np.zeros(3, int)), None, "fewer than two classes"),
    ],
)
def test_data_that_are_not_what_they_should_be(train: tuple, test: tuple | None, reason: str) -> None:
    with pytest.raises(bb.DataError, match=reason):
        bb.Data(train=train, test=test or train)
