"""The functionals of draws: their values are exact, and which they are depends on shapes alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.evidence.functionals import IMAGES, LARGEST, functionals_of
from bnnbench.measurements.sample import sample_of


def linear_draws(chains: int = 2, draws: int = 3, inputs: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights (chains, draws, *weight) of a linear classifier of two classes."""
    generator = np.random.default_rng(seed)
    return {
        "weight": generator.normal(size=(chains, draws, 2, inputs)).astype("f4"),
        "bias": generator.normal(size=(chains, draws, 2)).astype("f4"),
    }


def test_values_are_those_of_a_linear_classifier() -> None:
    """Of two classes the log odds against the label are a difference of logits, and its gradient one of weights."""
    data, arrays = small_data(), linear_draws()
    found = functionals_of(bb.Predictive(nn.Linear(4, 2), bb.Draws(arrays)), data)
    values = dict(zip(found.names, np.moveaxis(found.values, -1, 0), strict=True))
    sample = sample_of(data, IMAGES)
    x, y = sample.x.double().numpy(), sample.y.numpy()
    logits = np.einsum("cdki,ni->cdnk", arrays["weight"].astype(float), x) + arrays["bias"][:, :, None]
    sign = np.where(y == 1, -1, 1)
    odds = sign * (logits[..., 1] - logits[..., 0])
    difference = arrays["weight"][:, :, 1] - arrays["weight"][:, :, 0]
    names = [name for name in found.names if "gradient" in name]
    assert len(names) == len(y)
    for place, image in enumerate(sample.index):
        assert values[f"the log odds at test image {image}"] == pytest.approx(odds[..., place], rel=1e-4, abs=1e-5)
        coordinate = int(names[place].rpartition(" ")[2])
        assert names[place] == f"the gradient at test image {image}, input {coordinate}"
        assert values[names[place]] == pytest.approx(sign[place] * difference[..., coordinate], rel=1e-5, abs=1e-6)
    log_p = -np.logaddexp(0, odds)
    entropy = -(np.exp(log_p) * log_p + np.exp(-np.logaddexp(0, -odds)) * -np.logaddexp(0, -odds))
    assert values["the mean log-probability"] == pytest.approx(log_p.mean(-1), rel=1e-4)
    assert values["the mean entropy"] == pytest.approx(entropy.mean(-1), rel=1e-4)
    assert values["the squared norm of weight"] == pytest.approx((arrays["weight"] ** 2).sum((-1, -2)), rel=1e-5)
    assert values["the squared norm of bias"] == pytest.approx((arrays["bias"] ** 2).sum(-1), rel=1e-5)


def test_which_they_are_does_not_depend_on_what_changes() -> None:
    data, arrays = small_data(), linear_draws()
    names = functionals_of(bb.Predictive(nn.Linear(4, 2), bb.Draws(arrays)), data).names
    arrays["weight"][..., :3] = 0.0
    assert functionals_of(bb.Predictive(nn.Linear(4, 2), bb.Draws(arrays)), data).names == names
    assert len(names) == len(set(names)) == 2 * IMAGES + 2 + 2


def test_functions_without_gradient_have_neither_gradients_nor_norms() -> None:
    def function(slope: float) -> object:
        return lambda x: np.stack([slope * x[:, 0], 0 * x[:, 0]], 1)

    predictive = bb.predictive([function(1.0), function(2.0)], independent=False)
    names = functionals_of(predictive, small_data()).names
    assert len(names) == IMAGES + 2
    assert not any("gradient" in name or "norm" in name for name in names)


def test_certain_draws_have_finite_log_odds() -> None:
    class Certain(bb.Predictive):
        def logits(self, x: torch.Tensor, draws: object = slice(None)) -> torch.Tensor:
            values = torch.tensor([0.0, -torch.inf]).expand(1, len(x), 2)
            return values.to(x)

    predictive = Certain(nn.Linear(4, 2), bb.Draws(linear_draws()))
    values = functionals_of(predictive, small_data()).values[..., :IMAGES]
    assert set(np.unique(values)) == {np.float32(-LARGEST), np.float32(LARGEST)}
