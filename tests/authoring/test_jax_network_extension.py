"""Outsiders add JAX forms of layers, functions and methods: for one `JaxNetwork`, or for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.authoring import MODULES, JaxNetwork


class Gate(nn.Module):
    """A layer with weights, a nested layer and control flow, which torch.fx cannot trace."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.linspace(-1, 1, features))
        self.inner = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.factor if x.mean() < 1e9 else x


def gate(layer: Gate, get: Callable[[str], jax.Array], x: jax.Array) -> jax.Array:
    """The JAX form of `Gate`."""
    return (x @ get("inner.weight").T + get("inner.bias")) * get("factor")


class Rare(nn.Module):
    """A function and a method of torch that have no bundled JAX form."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(self.linear(x)).clamp(min=-0.5)


def clamp(x: jax.Array, min: float | None = None, max: float | None = None) -> jax.Array:  # noqa: A002 - torch's names
    """The JAX form of `Tensor.clamp`."""
    return jnp.clip(x, min, max)


def arrays(network: nn.Module) -> dict[str, jax.Array]:
    """The network's weights as JAX arrays."""
    return {name: jnp.asarray(weight.detach().numpy()) for name, weight in network.named_parameters()}


def agree(network: nn.Module, **forms: Any) -> bool:
    """Whether torch and JAX give the same logits."""
    x = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    found = JaxNetwork(network, **forms)(arrays(network), jnp.asarray(x.numpy()))
    return bool(np.allclose(found, network(x).detach().numpy(), atol=1e-6))


def test_a_layer_of_an_outsider_runs_by_the_form_that_is_given() -> None:
    network = nn.Sequential(nn.Linear(4, 6), Gate(6), nn.ReLU(), nn.Linear(6, 3))
    with pytest.raises(bb.Incompatible, match="cannot trace"):
        JaxNetwork(network)
    assert agree(network, modules={Gate: gate})
    assert not agree(network, modules={Gate: lambda layer, get, x: x})
    with pytest.raises(bb.Incompatible, match="cannot trace"):
        JaxNetwork(network)


def test_functions_and_methods_of_an_outsider_run_by_the_forms_that_are_given() -> None:
    forms: dict[str, Any] = {"functions": {torch.erf: jax.scipy.special.erf}, "methods": {"clamp": clamp}}
    for absent, operation in (("functions", "function erf"), ("methods", r"method Tensor\.clamp")):
        with pytest.raises(bb.Incompatible, match=f"no JAX form of {operation}"):
            JaxNetwork(Rare(), **{name: form for name, form in forms.items() if name != absent})
    assert agree(Rare(), **forms)


def test_a_given_form_takes_precedence_over_the_bundled_one() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    assert agree(network)
    assert not agree(network, modules={nn.ReLU: lambda layer, get, x: x + 1})


def test_the_layers_supported_are_listed_with_those_of_the_outsider() -> None:
    network = nn.Sequential(Gate(4), nn.Hardshrink())
    with pytest.raises(bb.Incompatible, match=r"Hardshrink.*the layers supported are .*Gate"):
        JaxNetwork(network, modules={Gate: gate})


@pytest.mark.integration
def test_a_bundled_sampler_samples_a_layer_whose_form_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(20, 4, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    data = bb.Data(train=(x, y), test=(x, y))
    network = nn.Sequential(nn.Linear(4, 6), Gate(6), nn.ReLU(), nn.Linear(6, 3))
    sampler = bb.posterior("numpyro-hmc", draws=2, warmup=2, leapfrog_steps=3)
    with pytest.raises(bb.Incompatible, match="cannot trace"):
        bb.fit(sampler, network, data)
    monkeypatch.setitem(MODULES, Gate, lambda layer, get, x: x)
    with pytest.raises(bb.Incompatible, match="other logits"):
        bb.fit(sampler, network, data)
    monkeypatch.setitem(MODULES, Gate, gate)
    predictive = bb.fit(sampler, network, data)
    assert predictive.draws["1.factor"].shape == (2, 6)
