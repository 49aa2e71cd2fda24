"""The compiled programs of a process: further chains and fits of the same shapes take them over, and no others do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from logistic import problem
from torch import nn

import bnnbench as bb
from bnnbench.authoring import JaxNetwork

pytestmark = pytest.mark.integration
SHORT: dict[str, dict[str, Any]] = {
    "numpyro-hmc": {"draws": 4, "chains": 2, "warmup": 3, "leapfrog_steps": 2},
    "numpyro-nuts": {"draws": 4, "chains": 2, "warmup": 3, "max_tree_depth": 2},
    "blackjax-mclmc": {"draws": 4, "chains": 2, "warmup": 3, "leapfrog_steps": 2},
    "sgld": {"draws": 4, "chains": 2, "warmup": 5, "thin": 3},
    "sghmc": {"draws": 4, "chains": 2, "warmup": 5, "thin": 3},
}
"""Posteriors with settings that take no time."""
OTHERS: dict[str, dict[str, Any]] = {
    "numpyro-hmc": {"step_size": 0.02, "leapfrog_steps": 3},
    "numpyro-nuts": {"step_size": 0.02, "target_acceptance": 0.7},
    "blackjax-mclmc": {"step_size": 0.02, "leapfrog_steps": 3},
    "sgld": {"learning_rate": 0.01, "schedule": "decreasing"},
    "sghmc": {"learning_rate": 0.01},
}
"""Other settings that the same programs serve."""


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """The programs of the process, without those of other tests."""
    from bnnbench_plugins.numpyro import programs

    monkeypatch.setattr(programs, "_programs", {})
    return programs._programs


def posterior(name: str, **settings: Any) -> Any:
    """A posterior with short settings."""
    if not name.startswith("numpyro") and find_spec("blackjax") is None:
        pytest.skip("BlackJAX is an extra")
    return bb.posterior(name, **SHORT[name] | settings)


@pytest.mark.parametrize("name", SHORT)
def test_a_further_chain_traces_no_transition(
    name: str, programs: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs the network twice in JAX: to compare its logits with torch's, and to identify the density."""
    calls, original = [0], JaxNetwork.__call__

    def counting(self: JaxNetwork, arrays: Any, x: Any) -> Any:
        calls[0] += 1
        return original(self, arrays, x)

    data, template = problem(2), bb.network("fc", hidden=(3,)).build(problem(2))
    again = bb.network("fc", hidden=(3,)).build(problem(2))
    monkeypatch.setattr(JaxNetwork, "__call__", counting)
    first = posterior(name)
    first.fit_part(template, data, seed=0, part=0)
    assert calls[0] > 2
    kept = list(programs.values())
    for further, network, seed, part in (
        (first, template, 0, 1),
        (first, again, 3, 0),
        (posterior(name, prior_scale=0.3, **OTHERS[name]), template, 0, 0),
    ):
        calls[0] = 0
        further.fit_part(network, data, seed=seed, part=part)
        assert calls[0] == 2
    assert {id(program) for program in programs.values()} == {id(program) for program in kept}
    held = [weakref.ref(tensor) for tensor in data.train]
    del data
    gc.collect()
    assert [reference() for reference in held] == [None, None], "programs hold no data"


class Shifted(nn.Sequential):
    """A network with a constant that is no parameter and no buffer."""

    def __init__(self, shift: float) -> None:
        super().__init__(nn.Linear(2, 2), nn.Identity(), nn.Linear(2, 2))
        self.shift = torch.tensor([shift, 0.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + self.shift)


def normalised(mean: float, eps: float) -> nn.Module:
    """A network with statistics and a setting of batch norm."""
    layer = nn.BatchNorm1d(2, eps=eps)
    layer.running_mean = torch.tensor([mean, 0.0])
    return nn.Sequential(nn.Linear(2, 2), layer, nn.Linear(2, 2)).eval()


def identity_of(network: nn.Module, data: bb.Data) -> str:
    """The identity of a network's posterior density."""
    from bnnbench_plugins.numpyro.jax_settings import standard_settings
    from bnnbench_plugins.numpyro.potential import arrays_of, inputs, negative_log_posterior
    from bnnbench_plugins.numpyro.programs import identity

    with standard_settings():
        potential = negative_log_posterior(network, data)(*inputs(data, 1.0))
        return identity(potential, (arrays_of(network.named_parameters()),))


def test_networks_that_compute_something_else_share_no_program() -> None:
    """Other activations, buffers, settings and constants, under the same names and shapes; other weights share it."""
    data = problem(2)
    makers: list[Callable[[], nn.Module]] = [
        *(partial(lambda slope: nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(slope)), slope) for slope in (0.1, 0.2)),
        *(partial(normalised, mean, eps) for mean, eps in ((0.0, 1e-5), (1.0, 1e-5), (0.0, 1e-2))),
        *(partial(Shifted, shift) for shift in (0.0, 0.5)),
    ]
    found = [identity_of(make(), data) for make in makers]
    assert len(set(found)) == len(found)
    assert [identity_of(make(), data) for make in makers] == found


def test_the_programs_that_were_used_last_are_kept(programs: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from bnnbench_plugins.numpyro import programs as module

    monkeypatch.setattr(module, "MOST", 3)
    traced = []

    def plus(number: int) -> float:
        def function(x: Any) -> Any:
            traced.append(number)
            return x + number

        return float(module.compiled(function, (np.float32(1),), number)(np.float32(1)))

    assert [plus(number) for number in (0, 1, 2, 0, 3, 0, 1)] == [1, 2, 3, 1, 4, 1, 2]
    assert traced == [0, 1, 2, 3, 1]
    assert len(programs) == 3


@pytest.mark.parametrize("times", [1.0, 12 / 5])
@pytest.mark.parametrize("prior", [0.3, 0.77])
def test_a_prior_that_is_an_argument_gives_the_bits_of_a_constant(prior: float, times: float) -> None:
    """The draws in stores were made with the prior as a constant, wider by sqrt(N/B) for minibatches."""
    import jax
    import jax.numpy as jnp
    from bnnbench_plugins.numpyro.jax_settings import standard_settings
    from bnnbench_plugins.numpyro.potential import arrays_of, inputs, negative_log_posterior

    data = problem(2)
    network, wider = bb.network("fc", hidden=(3,)).build(data), prior * times**0.5
    with standard_settings():
        potential, in_jax, of_data = (
            negative_log_posterior(network, data),
            JaxNetwork(network),
            inputs(data, prior, times),
        )
        weights = arrays_of(network.named_parameters())

        def constant(weights: Any, x: Any, y: Any, _: Any) -> Any:
            nll = -jnp.take_along_axis(jax.nn.log_softmax(in_jax(weights, x)), y[:, None], 1).sum()
            return times * (nll + sum(jnp.square(weight).sum() for weight in weights.values()) / (2 * wider**2))

        def argument(weights: Any, *of_data: Any) -> Any:
            return potential(*of_data, times)(weights)

        slopes = [jax.jit(jax.grad(function))(weights, *of_data) for function in (constant, argument)]
        values = [jax.jit(function)(weights, *of_data) for function in (constant, argument)]
    assert all(np.array_equal(slopes[0][name], slopes[1][name]) for name in weights)
    assert times != 1 or values[0] == values[1]


@pytest.mark.parametrize("name", SHORT)
def test_layers_of_other_names_compute_the_same_from_other_arguments(name: str, programs: dict[Any, Any]) -> None:
    data = problem(2)
    layers = [nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)]
    posterior(name).fit(nn.Sequential(*layers), data, seed=0)
    other = nn.Sequential(layers[0], layers[1], nn.Identity(), layers[2])
    after = posterior(name).fit(other, data, seed=0)
    programs.clear()
    alone = posterior(name).fit(other, data, seed=0)
    assert set(after.arrays) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    assert all(np.array_equal(array, alone.arrays[weight]) for weight, array in after.arrays.items())
