"""Outsiders add JAX forms of layers, functions and methods: for one `JaxNetwork`, or for all of them."""

from __future__ import annotations

import math
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
    """A function and a method of torch that have no bundled JAX form, not even among ATen operations."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(self.linear(x)).nextafter(torch.tensor(1.0))


def bessel(x: jax.Array) -> jax.Array:
    """The JAX form of `torch.special.bessel_j0`, by its series."""
    terms = [(-(x**2) / 4) ** k / float(math.factorial(k)) ** 2 for k in range(12)]
    return jnp.asarray(sum(terms))


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
    with pytest.raises(bb.Incompatible, match=r"cannot trace.*depends on values, in line \d+ of .*self\.inner"):
        agree(network)
    assert agree(network, modules={Gate: gate})
    assert not agree(network, modules={Gate: lambda layer, get, x: x})
    with pytest.raises(bb.Incompatible, match="cannot trace"):
        agree(network)


def test_functions_and_methods_of_an_outsider_run_by_the_forms_that_are_given() -> None:
    forms: dict[str, Any] = {
        "functions": {torch.special.bessel_j0: bessel},
        "methods": {"nextafter": lambda x, to: jnp.nextafter(x, to)},
    }
    for absent, operation in (("functions", "function .*bessel_j0"), ("methods", r"method Tensor\.nextafter")):
        with pytest.raises(bb.Incompatible, match=f"no JAX form of {operation}"):
            JaxNetwork(Rare(), **{name: form for name, form in forms.items() if name != absent})
    assert agree(Rare(), **forms)


def test_a_given_form_takes_precedence_over_the_bundled_one() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    assert agree(network)
    assert not agree(network, modules={nn.ReLU: lambda layer, get, x: x + 1})


def test_the_layers_supported_are_listed_with_those_of_the_outsider() -> None:
    network = nn.Sequential(Gate(4), nn.FractionalMaxPool2d(2, 2))
    with pytest.raises(bb.Incompatible, match=r"FractionalMaxPool2d.*the layers supported are .*Gate"):
        JaxNetwork(network, modules={Gate: gate})


def test_forms_that_are_given_are_not_passed_over_where_torch_fx_fails() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x) * len(x)

    assert agree(Counting())
    with pytest.raises(bb.Incompatible, match=r"x\.shape\[0\] is the number of inputs"):
        JaxNetwork(Counting(), modules={nn.ReLU: lambda layer, get, x: x})


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
