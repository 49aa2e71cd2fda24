"""Single networks that are made of the draws of another fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bnnbench_plugins.ensembles.one_network import MeanNetwork, OneDraw
from bnnbench_plugins.torch.bayes_by_backprop import BayesByBackprop
from torch import nn

import bnnbench as bb

VI = BayesByBackprop(epochs=3, draws=7)


def two_classes() -> bb.Data:
    x = np.random.default_rng(0).uniform(size=(40, 3)).astype("f4")
    y = (x.sum(1) > 1.5).astype(int)
    return bb.Data(train=(x, y), test=(x[:9], y[:9]))


def test_the_mean_network_of_a_linear_network_has_the_mean_logits() -> None:
    data, network = two_classes(), nn.Linear(3, 2)
    draws, mean = bb.fit(VI, network, data, seed=2), bb.fit(MeanNetwork(of=VI), network, data, seed=2)
    x = data.test[0]
    assert len(mean) == 1
    assert torch.allclose(mean.logits(x)[0], draws.logits(x).mean(0), atol=1e-5)


@pytest.mark.parametrize("draw", [0, 3, -1, -7])
def test_one_draw_is_that_draw(draw: int) -> None:
    data, network = two_classes(), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    draws, one = bb.fit(VI, network, data, seed=2), bb.fit(OneDraw(of=VI, draw=draw), network, data, seed=2)
    assert torch.equal(one.logits(data.test[0])[0], draws.logits(data.test[0])[draw])


@pytest.mark.parametrize("draw", [7, -8])
def test_a_draw_that_the_other_fit_does_not_have_is_refused(draw: int) -> None:
    with pytest.raises(ValueError, match=rf"draw \({draw}\) must be one of the 7 draws"):
        OneDraw(of=VI, draw=draw)


def test_statistics_in_whole_numbers_are_those_of_one_draw() -> None:
    """Batch norm counts its batches in an array of whole numbers, which has no mean."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    counts = np.array([[3, 4]])
    weights = {name: np.stack([w, w + 1])[None] for name, w in network.state_dict().items() if w.is_floating_point()}
    draws = bb.Draws(weights | {"1.num_batches_tracked": counts})
    made = MeanNetwork(of=VI).derive(network, two_classes(), draws, seed=0)
    assert made.arrays["1.num_batches_tracked"].tolist() == [[3]]
    assert np.allclose(made.arrays["0.bias"][0, 0], weights["0.bias"][0].mean(0))


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    data, network = two_classes(), nn.Linear(3, 2)
    mean = bb.fit(MeanNetwork(of=VI), network, data, seed=2)
    mean.save(tmp_path / "mean.safetensors")
    again = bb.load(tmp_path / "mean.safetensors", network=network)
    assert torch.equal(again.logits(data.test[0]), mean.logits(data.test[0]))
