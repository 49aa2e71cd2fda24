"""Torch and JAX agree in logits and input gradients, over all layers supported."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bnnbench_plugins.numpyro.interpreter import MODULES, JaxNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import bnnbench as bb

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3, bias=False)), (6,)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), (4, 9, 8)),
    "Conv2d same": (lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False), (2, 6, 5)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (6,)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3, affine=False), (3, 4, 4)),
    "LayerNorm": (lambda: nn.LayerNorm((4, 5)), (3, 4, 5)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 8, 7)),
    "MaxPool2d stride 1": (lambda: nn.MaxPool2d(2, stride=1), (2, 5, 5)),
    "AvgPool2d": (lambda: nn.AvgPool2d((2, 3), stride=(1, 2), padding=1), (2, 7, 8)),
    "Flatten": (lambda: nn.Flatten(2), (2, 3, 4)),
    "Identity": (nn.Identity, (3,)),
    "Dropout": (lambda: nn.Dropout(0.5), (3,)),
    "ReLU": (nn.ReLU, (7,)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (7,)),
    "ELU": (lambda: nn.ELU(0.7), (7,)),
    "GELU": (nn.GELU, (7,)),
    "GELU tanh": (lambda: nn.GELU(approximate="tanh"), (7,)),
    "SiLU": (nn.SiLU, (7,)),
    "Softplus": (lambda: nn.Softplus(2.0), (7,)),
    "Tanh": (nn.Tanh, (7,)),
    "Sigmoid": (nn.Sigmoid, (7,)),
}


class Functional(nn.Module):
    """Everything in its functional or method form, with a bare parameter, a buffer and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.register_buffer("shift", torch.rand(4, 1, 1))
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv(x), 0.1) * self.scale + self.shift
        x = F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)
        x = x.mean(dim=(2, 3)).view(x.size(0), -1)
        one, other = torch.tanh(self.first(x)), torch.relu(self.second(x)) - 0.5 * x
        x = torch.cat([F.softplus(one), F.gelu(other)], dim=1)
        return F.linear(x.reshape(x.shape[0], 8), self.last.weight, self.last.bias)


def arrays_of(module: nn.Module) -> dict[str, jax.Array]:
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: jnp.asarray(tensor.detach().numpy()) for name, tensor in named}


def agree(module: nn.Module, x: Tensor) -> None:
    """Outputs and the gradient of a random projection agree to 1e-5 of their size."""
    module.eval()
    network, arrays = JaxNetwork(module), arrays_of(module)
    x = x.requires_grad_()
    expected = module(x)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad((expected * direction).sum(), x)
    points = jnp.asarray(x.detach().numpy())
    found = network(arrays, points)
    found_slope = jax.grad(lambda at: (network(arrays, at) * direction.numpy()).sum())(points)
    for torch_value, jax_value in ((expected, found), (slope, found_slope)):
        reference = torch_value.detach().numpy()
        assert jax_value.shape == reference.shape
        assert np.abs(np.asarray(jax_value) - reference).max() <= 1e-5 * max(1.0, np.abs(reference).max())


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_agrees_with_torch(name: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    module = nn.Sequential(make())
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    agree(module, torch.randn(5, *shape))


def test_every_supported_layer_is_among_those_tested() -> None:
    assert {cls.__name__ for cls in MODULES} <= {name.split()[0] for name in LAYERS}


def test_functions_methods_parameters_buffers_and_ties_agree_with_torch() -> None:
    torch.manual_seed(0)
    agree(Functional(), torch.rand(5, 1, 9, 9))


@pytest.mark.parametrize("name", ["fc", "conv"])
@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "tanh", "sigmoid"])
def test_the_bundled_networks_agree_with_torch(name: str, activation: str) -> None:
    pair = (np.zeros((2, 1, 17, 16), "f4"), np.array([0, 4]))
    network = bb.network(name, activation=activation).build(bb.Data(train=pair, test=pair))
    agree(bb.initialise(network, 3), torch.rand(4, 1, 17, 16))


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    side=st.integers(8, 12),
)
def test_convolutions_of_any_geometry_agree(
    kernel: int, stride: int, padding: int, dilation: int, groups: int, side: int
) -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(2, 4, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    agree(module, torch.randn(2, 2, side, side + 1))


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Hardshrink())), r"layer Hardshrink \('1.0'\)"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"MaxPool2d \('0'\) with ceil_mode"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="circular")), "padding_mode=circular"),
        (Branches(), "torch.fx cannot trace Branches"),
        (Unknown(), "function .*bessel_j0"),
    ],
)
def test_what_is_not_supported_is_named(module: nn.Module, named: str) -> None:
    with pytest.raises(bb.Incompatible, match=named):
        JaxNetwork(module)
