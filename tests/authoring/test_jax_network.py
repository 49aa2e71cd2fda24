"""Torch and JAX agree in logits and input gradients, over all layers supported."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from jax_agreement import Call, assert_agreement
from torch import Tensor, fx, nn

import bnnbench as bb
from bnnbench.authoring import FUNCTIONS, METHODS, MODULES, JaxNetwork


class Outputs(nn.Module):
    """The outputs of a recurrent layer, and its last state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.layer(x)
        state = state if isinstance(self.layer, nn.GRU | nn.RNN) else state[0] * state[1]
        return torch.cat([out.flatten(), state.flatten()])


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3, bias=False)), (6,)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), (4, 9, 8)),
    "Conv2d same": (lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False), (2, 6, 5)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (6,)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3, affine=False), (3, 4, 4)),
    "LayerNorm": (lambda: nn.LayerNorm((4, 5)), (3, 4, 5)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), (6, 4, 5)),
    "GroupNorm of points": (lambda: nn.GroupNorm(3, 6, affine=False, eps=0.1), (6,)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 8, 7)),
    "MaxPool2d stride 1": (lambda: nn.MaxPool2d(2, stride=1), (2, 5, 5)),
    "AvgPool2d": (lambda: nn.AvgPool2d((2, 3), stride=(1, 2), padding=1), (2, 7, 8)),
    "AvgPool2d no padding": (lambda: nn.AvgPool2d(2, count_include_pad=False), (2, 6, 6)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (2, 5, 4)),
    "AdaptiveAvgPool2d pair": (lambda: nn.AdaptiveAvgPool2d((1, 1)), (2, 5, 4)),
    "Flatten": (lambda: nn.Flatten(2), (2, 3, 4)),
    "Identity": (nn.Identity, (3,)),
    "Dropout": (lambda: nn.Dropout(0.5), (3,)),
    "Dropout2d": (lambda: nn.Dropout2d(0.5), (3, 2, 2)),
    "ReLU": (nn.ReLU, (7,)),
    "ReLU inplace": (lambda: nn.Sequential(nn.Linear(7, 7), nn.ReLU(inplace=True)), (7,)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (7,)),
    "ELU": (lambda: nn.ELU(0.7), (7,)),
    "GELU": (nn.GELU, (7,)),
    "GELU tanh": (lambda: nn.GELU(approximate="tanh"), (7,)),
    "SiLU": (nn.SiLU, (7,)),
    "Softplus": (lambda: nn.Softplus(2.0), (7,)),
    "Softplus threshold": (lambda: nn.Softplus(1.0, threshold=0.3), (7,)),
    "Tanh": (nn.Tanh, (7,)),
    "Sigmoid": (nn.Sigmoid, (7,)),
    "Softmax": (lambda: nn.Softmax(-1), (7,)),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), (7,)),
    "LSTM": (lambda: Outputs(nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)), (6, 3)),
    "GRU": (lambda: Outputs(nn.GRU(3, 4, bidirectional=True, bias=False)), (6, 3)),
    "RNN": (lambda: Outputs(nn.RNN(3, 4, nonlinearity="relu", batch_first=True)), (6, 3)),
}
WEIGHT = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(3))
"""A plain tensor, neither parameter nor buffer."""
FUNCTIONAL: dict[Any, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    operator.add: (lambda x: x + 2, (3,)),
    operator.sub: (lambda x: 2 - x, (3,)),
    operator.mul: (lambda x: x * x, (3,)),
    operator.truediv: (lambda x: 1 / (x * x + 1), (3,)),
    operator.neg: (lambda x: -x, (3,)),
    operator.pow: (lambda x: x**3, (3,)),
    operator.matmul: (lambda x: x @ x.transpose(1, 2), (3, 4)),
    operator.getitem: (lambda x: x[:, 1:, None, ..., 0], (3, 4)),
    getattr: (lambda x: x.reshape(x.shape[0], -1), (3, 4)),
    torch.add: (lambda x: torch.add(x, x * x, alpha=0.5), (3,)),
    torch.sub: (lambda x: torch.sub(x, x * x, alpha=0.5), (3,)),
    torch.mul: (lambda x: torch.mul(x, x), (3,)),
    torch.div: (lambda x: torch.div(x, 3), (3,)),
    torch.matmul: (lambda x: torch.matmul(x, x.transpose(1, 2)), (3, 4)),
    torch.cat: (lambda x: torch.cat([x, x * x], dim=-1), (3, 4)),
    torch.flatten: (lambda x: torch.flatten(x, 1, end_dim=2), (2, 3, 4)),
    torch.reshape: (lambda x: torch.reshape(x, (-1, 6)), (3, 4)),
    torch.mean: (lambda x: torch.mean(x, dim=1, keepdim=True), (3, 4)),
    torch.sum: (lambda x: torch.sum(x, [1, 2]), (3, 4)),
    torch.relu: (lambda x: torch.relu(x), (7,)),
    torch.tanh: (lambda x: torch.tanh(x), (7,)),
    torch.sigmoid: (lambda x: torch.sigmoid(x), (7,)),
    torch.softmax: (lambda x: torch.softmax(x, 1), (7,)),
    torch.log_softmax: (lambda x: torch.log_softmax(x, dim=1), (7,)),
    torch.sin: (lambda x: torch.sin(x), (7,)),
    torch.exp: (lambda x: torch.exp(x), (7,)),
    F.linear: (lambda x: F.linear(x, weight=WEIGHT[0, 0], bias=WEIGHT[0, 1, 0]), (3,)),
    F.conv2d: (lambda x: F.conv2d(x, WEIGHT, stride=2, padding=(1, 0)), (2, 6, 7)),
    F.group_norm: (lambda x: F.group_norm(x, 2, weight=WEIGHT[:, 0, 0, 0], eps=0.1), (4, 5)),
    F.max_pool2d: (lambda x: F.max_pool2d(x, 3, stride=2, padding=1), (2, 6, 7)),
    F.avg_pool2d: (lambda x: F.avg_pool2d(x, kernel_size=3, stride=2, padding=1), (2, 6, 7)),
    F.adaptive_avg_pool2d: (lambda x: F.adaptive_avg_pool2d(x, 1), (2, 6, 7)),
    F.dropout: (lambda x: F.dropout(x, 0.5, training=False), (3,)),
    F.relu: (lambda x: F.relu(2 * x, inplace=True), (7,)),
    F.leaky_relu: (lambda x: F.leaky_relu(x, 0.2), (7,)),
    F.elu: (lambda x: F.elu(x, alpha=0.7), (7,)),
    F.gelu: (lambda x: F.gelu(x, approximate="tanh"), (7,)),
    F.silu: (lambda x: F.silu(x), (7,)),
    F.softmax: (lambda x: F.softmax(x, 1), (7,)),
    F.log_softmax: (lambda x: F.log_softmax(x, dim=1), (7,)),
    F.softplus: (lambda x: F.softplus(x, beta=2.0, threshold=0.5), (7,)),
    "add": (lambda x: x.add(x * x, alpha=0.5), (3,)),
    "sub": (lambda x: x.sub(x * x, alpha=0.5), (3,)),
    "mul": (lambda x: x.mul(x), (3,)),
    "div": (lambda x: x.div(3), (3,)),
    "flatten": (lambda x: x.flatten(start_dim=2), (2, 3, 4)),
    "view": (lambda x: x.view(x.size(0), -1), (3, 4)),
    "reshape": (lambda x: x.reshape((-1, 6)), (3, 4)),
    "size": (lambda x: x.reshape(x.size(0), x.size(dim=1) * x.size()[2]), (3, 4)),
    "mean": (lambda x: x.mean(dim=(1, 2)), (3, 4)),
    "sum": (lambda x: x.sum(-1, keepdim=True), (3, 4)),
    "transpose": (lambda x: x.transpose(dim0=1, dim1=2), (3, 4)),
    "permute": (lambda x: x.permute(0, 2, 1) + x.permute((0, 2, 1)), (3, 4)),
    "unsqueeze": (lambda x: x.unsqueeze(dim=1), (3, 4)),
    "squeeze": (lambda x: x.squeeze(1).squeeze(1), (1, 4)),
    "t": (lambda x: x.flatten(1).t(), (3, 4)),
    "contiguous": (lambda x: x.transpose(1, 2).contiguous(), (3, 4)),
    "relu": (lambda x: x.relu(), (7,)),
    "tanh": (lambda x: x.tanh(), (7,)),
    "sigmoid": (lambda x: x.sigmoid(), (7,)),
    "softmax": (lambda x: x.softmax(1), (7,)),
    "log_softmax": (lambda x: x.log_softmax(dim=1), (7,)),
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


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_agrees_with_torch(name: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    module = nn.Sequential(make())
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    assert_agreement(module, torch.randn(5, *shape))


@pytest.mark.parametrize("key", FUNCTIONAL, ids=lambda key: getattr(key, "__name__", key))
def test_every_function_and_method_agrees_with_torch(key: Any) -> None:
    function, shape = FUNCTIONAL[key]
    nodes = fx.symbolic_trace(Call(function)).graph.nodes
    assert key in {node.target for node in nodes}
    assert_agreement(Call(function), torch.randn(5, *shape, generator=torch.Generator().manual_seed(0)))


def test_every_supported_function_and_method_is_among_those_tested() -> None:
    assert {*FUNCTIONS, *METHODS} == set(FUNCTIONAL)


def test_every_supported_layer_is_among_those_tested() -> None:
    assert {cls.__name__ for cls in MODULES} <= {name.split()[0] for name in LAYERS}


@pytest.mark.integration
def test_functions_methods_parameters_buffers_and_ties_agree_with_torch() -> None:
    torch.manual_seed(0)
    assert_agreement(Functional(), torch.rand(5, 1, 9, 9))


@pytest.mark.integration
@pytest.mark.parametrize("name", ["fc", "conv"])
@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "tanh", "sigmoid"])
def test_the_bundled_networks_agree_with_torch(name: str, activation: str) -> None:
    pair = (np.zeros((2, 1, 17, 16), "f4"), np.array([0, 4]))
    network = bb.network(name, activation=activation).build(bb.Data(train=pair, test=pair))
    assert_agreement(bb.initialise(network, 3), torch.rand(4, 1, 17, 16))


@pytest.mark.integration
@settings(max_examples=12)
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
    assert_agreement(module, torch.randn(2, 2, side, side + 1))


class Defaults(nn.Module):
    """Arguments of `forward` beside the inputs keep their defaults; a plain tensor is a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.tensor([2.0, 3.0])
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor, temperature: float = 4.0, mask: Tensor | None = None) -> Tensor:
        return self.layer(input=x * self.scale) / temperature


def test_other_arguments_of_forward_take_their_defaults() -> None:
    torch.manual_seed(0)
    assert_agreement(Defaults(), torch.randn(5, 2))


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    JaxNetwork(module)
    assert module.training
    assert module[1].training
