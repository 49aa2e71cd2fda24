"""What torch.fx or the tables of JAX do not know is refused, and named."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
import torch
import torch.nn.functional as F
from jax_agreement import Call, arrays_of, assert_agreement
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
        (
            nn.Sequential(nn.Linear(2, 2), nn.Sequential(Call(torch.special.bessel_j0))),
            r"bessel_j0 in layer Call \('1.0'\)",
        ),
        (Branches(), "torch cannot trace Branches: its control flow depends on values, in line .*: return x if"),
        (Call(lambda x: x[[0, 1]] * torch.rand(2)), "operation rand: it draws random numbers in eval mode"),
        (Call(lambda x: F.dropout(x)), "operation bernoulli: it draws random numbers in eval mode"),
        (Call(lambda x: x[x > 0]), "operation index with these arguments: a mask selects a number of elements"),
        (Call(lambda x: x.nonzero()), "operation nonzero: the number of its results depends on"),
        (Call(lambda x: torch.from_numpy(x.numpy())), r"Tensor\.numpy, which takes the values out of torch"),
        (Call(lambda x: F.max_pool2d(x[None], 2, return_indices=True)), "returns tuple, not a tensor"),
        (Needs(), "missing 1 required positional argument: 'temperature'"),
    ],
)
def test_what_is_not_supported_is_named(module: nn.Module, named: str) -> None:
    network = JaxNetwork(module)
    with pytest.raises(bb.Incompatible, match=named) as caught:
        network(arrays_of(module), jnp.ones((4, 2)))
    assert "\n" not in str(caught.value)


def test_hooks_are_refused_at_once() -> None:
    with pytest.raises(bb.Incompatible, match=r"layer Linear \('0'\) has forward hooks"):
        JaxNetwork(hooked())


@pytest.mark.parametrize(
    "module", [Overwriting(nn.ReLU(inplace=True)), Overwriting(Call(lambda x: F.elu(x, inplace=True)))]
)
def test_operations_in_place_overwrite_what_is_used_elsewhere(module: nn.Module) -> None:
    assert_agreement(module, torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))


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
