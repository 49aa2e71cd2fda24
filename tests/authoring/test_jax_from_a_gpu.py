"""A network that lies on a GPU runs in JAX as one on the CPU does. The GPU is not there (`fake_gpu`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_gpu import fake_gpu
from torch import nn

from bnnbench.authoring import JaxNetwork
from bnnbench.authoring.jax_aten import AtenNetwork


class Pooled(nn.Module):
    """A network whose batch norm has other operations on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.body(x.unflatten(1, (1, 6)))
        return scores


@pytest.mark.parametrize("of", [JaxNetwork, lambda module: AtenNetwork(module, (4, 6, 6), np.float32)])
def test_the_logits_are_those_of_torch(of: type) -> None:
    torch.manual_seed(0)
    module, x = Pooled().eval(), torch.rand(4, 6, 6)
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    with torch.no_grad(), fake_gpu():
        expected = module(x)
        there = module.to("cuda")
        found = np.asarray(of(there)(arrays, x.numpy()))
        assert next(there.parameters()).device.type == "cuda"
    assert np.allclose(found, expected.numpy(), atol=1e-4)
