"""Figures of the weights of draws."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import bnnbench as bb
from bnnbench.evidence.weights import distinct_draws, mixing_of_weights, moves
from bnnbench.statistics.mixing import mixing


def predictive_of(weight: np.ndarray) -> bb.Predictive:
    """A predictive of a linear network without bias, weight (chains, draws, 2, inputs)."""
    return bb.Predictive(nn.Linear(weight.shape[-1], 2, bias=False), bb.Draws({"weight": weight.astype("f4")}))


def test_distinct_draws_are_counted_over_all_tensors() -> None:
    weight, bias = np.zeros((1, 4, 2, 2), "f4"), np.zeros((1, 4, 2), "f4")
    weight[0, 1, 0, 0] = 1
    bias[0, 2, 1] = 1
    assert distinct_draws(bb.Predictive(nn.Linear(2, 2), bb.Draws({"weight": weight, "bias": bias}))) == 3


def test_all_weights_that_change_are_judged_if_they_are_few() -> None:
    weight = np.random.default_rng(0).normal(size=(2, 50, 2, 5)).astype("f4")
    weight[..., 0] = 3
    found = mixing_of_weights(predictive_of(weight))
    assert (found["weight_rhat"], found["weight_ess"]) == mixing(weight.reshape(2, 50, -1))
    moved = np.sqrt(((weight[:, -1, :, 1:] - weight[:, 0, :, 1:]).astype(float) ** 2).mean())
    assert found["moved"] == pytest.approx(moved, rel=1e-5)


def test_weights_that_never_change_have_no_figures() -> None:
    still = predictive_of(np.ones((2, 50, 2, 5)))
    assert mixing_of_weights(still) == {"weight_rhat": None, "weight_ess": None, "moved": 0.0}
    assert not moves(still)
