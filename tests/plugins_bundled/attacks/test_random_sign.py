"""Random signs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import linear_predictive

import bnnbench as bb


def test_random_signs_are_exactly_plus_or_minus_epsilon_with_probability_one_half() -> None:
    """Interior pixels move by exactly epsilon; the share of plus is within 5 standard errors (error rate 6e-7)."""
    predictive = linear_predictive(np.ones((2, 50)), np.zeros(2))
    x, y = torch.full((400, 50), 0.5), torch.zeros(400, dtype=torch.long)
    adversarial = bb.attack("random-sign")(predictive, x, y, bb.Threat(epsilon=0.125), seed=1)
    assert set((adversarial - x).unique().tolist()) == {-0.125, 0.125}
    plus = (adversarial > x).double()
    assert abs(plus.mean() - 0.5) < 5 * 0.5 / np.sqrt(plus.numel())
    # Neighbouring pixels and images are independent of each other.
    for one, other in ((plus[:, 1:], plus[:, :-1]), (plus[1:], plus[:-1])):
        assert abs(((one - 0.5) * (other - 0.5)).mean()) < 5 * 0.25 / np.sqrt(one.numel())


def test_random_signs_at_the_border_stay_in_the_box() -> None:
    predictive = linear_predictive(np.ones((2, 3)), np.zeros(2))
    x, y = torch.tensor([[0.0, 1.0, 0.05]]).repeat(100, 1), torch.zeros(100, dtype=torch.long)
    adversarial = bb.attack("random-sign")(predictive, x, y, bb.Threat(epsilon=0.1))
    assert adversarial[:, 0].unique().tolist() == pytest.approx([0.0, 0.1])
    assert adversarial[:, 1].unique().tolist() == pytest.approx([0.9, 1.0])
    assert adversarial[:, 2].unique().tolist() == pytest.approx([0.0, 0.15])
