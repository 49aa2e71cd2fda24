"""What torch.fx or the tables of JAX do not know is refused, and named."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import pytest
import torch
import torch.nn.functional as F
from jax_agreement import Call
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.authoring import JaxNetwork


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Overwriting(nn.Module):
    """The sum takes the inputs' positive part twice: the first operation has overwritten them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x
        return self.layer(x) + x


class Needs(nn.Module):
    def forward(self, x: Tensor, temperature: float) -> Tensor:
        return x * temperature


def hooked() -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda layer, inputs, output: output + 1)
    return module


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Hardshrink())), r"layer Hardshrink \('1.0'\)"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"MaxPool2d \('0'\) with ceil_mode"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="circular")), "padding_mode=circular"),
        (nn.Sequential(nn.AvgPool2d(2, padding=1, count_include_pad=False)), "count_include_pad=False"),
        (Branches(), "torch.fx cannot trace Branches"),
        (Call(torch.special.bessel_j0), "function .*bessel_j0"),
        (Call(lambda x: x.cumsum(1)), r"method Tensor.cumsum"),
        (
            Overwriting(nn.ReLU(inplace=True)),
            r"layer ReLU \('layer'\) with inplace=True, whose input is used elsewhere",
        ),
        (Overwriting(Call(lambda x: F.elu(x, inplace=True))), "function elu .* with inplace=True"),
        (Needs(), "forward needs 'temperature'"),
        (hooked(), r"layer Linear \('0'\) has forward hooks"),
    ],
)
def test_what_is_not_supported_is_named(module: nn.Module, named: str) -> None:
    with pytest.raises(bb.Incompatible, match=named):
        JaxNetwork(module)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x[[0, 1]], "function getitem .* with these arguments"),
        (lambda x: F.dropout(x), "dropout that stays on"),
        (lambda x: F.adaptive_avg_pool2d(x[:, None], 2), "only to 1"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "rounding_mode='floor'"),
    ],
)
def test_arguments_that_are_not_supported_are_named(function: Callable[[Tensor], Tensor], named: str) -> None:
    module = Call(function)
    with pytest.raises(bb.Incompatible, match=named):
        JaxNetwork(module)({}, jnp.ones((4, 4)))


class Aliased(nn.Module):
    """torch.fx turns `+=` into a sum, so it misses that the other name's values change."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        same = x
        x += 1
        return x * same


def test_a_network_that_fx_traces_wrongly_is_refused_when_it_is_fitted() -> None:
    torch.manual_seed(0)
    pair = (torch.rand(6, 2), torch.tensor([0, 1] * 3))
    with pytest.raises(bb.Incompatible, match="Aliased gives other logits in JAX"):
        bb.posterior("numpyro-hmc", draws=2, warmup=2).fit(Aliased(), bb.Data(train=pair, test=pair), seed=0)
