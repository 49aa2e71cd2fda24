"""Dropout layers of a network that has them under several names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.mc_dropout import McDropout
from torch import Tensor, nn

import bnnbench as bb


class TwoNames(nn.Module):
    """A network whose dropout layer is an attribute of its own, and called as a part of another module."""

    def __init__(self, nested: bool) -> None:
        super().__init__()
        self.drop: nn.Module = nn.Dropout(0.5)
        layers: list[nn.Module] = [nn.Linear(3, 8), nn.ReLU(), self.drop, nn.Linear(8, 2)]
        if nested:
            self.drop = nn.Sequential(self.drop)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found


@pytest.mark.parametrize("nested", [False, True])
def test_a_layer_with_two_names_has_its_mask_under_both(nested: bool, tmp_path: object) -> None:
    x, y = np.random.default_rng(0).random((20, 3)).astype("f4"), np.arange(20) % 2
    data, network = bb.Data(train=(x, y), test=(x, y)), TwoNames(nested).eval()
    fitted = bb.fit(McDropout(epochs=2, draws=5), network, data, seed=0, device="cpu")
    weights = {name: array[0] for name, array in fitted.draws.items()}
    (masks,) = (array for name, array in fitted.draws.items() if name.endswith("mask"))
    hidden = (data.test[0] @ weights["layers.0.weight"].T + weights["layers.0.bias"]).relu()
    expected = (hidden * masks[:, None]) @ weights["layers.3.weight"].T + weights["layers.3.bias"]
    torch.testing.assert_close(fitted.logits(data.test[0]), expected)
    fitted.save(f"{tmp_path}/draws.safetensors")
    assert torch.equal(
        bb.load(f"{tmp_path}/draws.safetensors", network).logits(data.test[0]), fitted.logits(data.test[0])
    )
