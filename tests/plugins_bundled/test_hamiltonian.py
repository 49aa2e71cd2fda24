"""What holds for every Hamiltonian sampler."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from logistic import ENGINES, NoBias, problem
from torch import nn

import bnnbench as bb

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", ENGINES)
def test_fits_repeat_for_a_seed_and_leave_everything_else_alone(name: str) -> None:
    data, template = problem(2), nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)).eval()
    settings = {"draws": 4, "chains": 2, "warmup": 3, "thin": 2, "step_size": 0.05, "adapt_step_size": False}
    bb.posterior(name, **settings).fit(template, data, seed=0)  # importing the engines draws from global generators
    before = {key: tensor.clone() for key, tensor in template.state_dict().items()}
    state = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    seen: list[tuple[int, int]] = []
    posterior = bb.posterior(name, **settings)
    first = posterior.fit(template, data, seed=5, progress=lambda done, total, note="": seen.append((done, total)))
    again, other = posterior.fit(template, data, seed=5), posterior.fit(template, data, seed=6)
    assert random.getstate() == state[0]
    assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state[2])
    assert all(torch.equal(tensor, before[key]) for key, tensor in template.state_dict().items())
    assert not template.training
    assert seen[-1] == (14, 14)
    for key, array in first.arrays.items():
        assert array.shape == (2, 2, *before[key].shape)
        assert array.dtype == np.float32
        assert np.array_equal(array, again.arrays[key])
        assert not np.array_equal(array, other.arrays[key])
        assert not np.array_equal(array[0], array[1])
    assert set(first.shared) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert first.diagnostics["acceptance"].shape == (2, 4)
    assert first.diagnostics["divergences"].shape == (2, 4)
    assert (first.diagnostics["leapfrog_steps"] >= 1).all()
    assert bb.Predictive(template, first).log_probs(data.test[0]).isfinite().all()


@pytest.mark.parametrize("name", ENGINES)
def test_all_chains_are_sampled_with_the_buffers_that_are_stored(name: str) -> None:
    """The statistics that the template brings are kept, since a sampler gathers none. A batch norm at fixed ones is
    an affine map, and the draws are those of the network that has it written out."""
    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(7.0)
    network = nn.Sequential(norm, nn.Linear(2, 2)).eval()
    settings = {"draws": 4, "chains": 2, "warmup": 2, "step_size": 0.05, "adapt_step_size": False}
    data = problem(2)
    draws = bb.posterior(name, **settings).fit(network, data, seed=1)
    assert np.array_equal(draws.shared["0.running_mean"], [3, 3])
    assert np.array_equal(draws.shared["0.running_var"], [7, 7])
    assert norm.running_mean.tolist() == [3, 3]
    predictive = bb.fit(bb.posterior(name, **settings), network, data, seed=1)
    logits = predictive.logits(data.test[0])
    for number in range(4):
        weights = {key: torch.as_tensor(array) for key, array in draws.flat().items()}
        scaled = (data.test[0] - 3) / (7 + 1e-5) ** 0.5
        rows = (scaled * weights["0.weight"][number] + weights["0.bias"][number]).double()
        plain = rows @ weights["1.weight"][number].double().T + weights["1.bias"][number].double()
        assert torch.allclose(logits[number].double(), plain, atol=1e-5)


@pytest.mark.parametrize("name", ["pyro-hmc", "numpyro-hmc", pytest.param("numpyro-nuts", marks=pytest.mark.slow)])
def test_settings_reach_the_engine(name: str) -> None:
    """A higher target makes the step shorter; without a warm-up it stays as it is; a mass matrix changes the draws."""
    data = problem(2)

    def fitted(**settings: Any) -> bb.Draws:
        return bb.posterior(name, **({"draws": 20, "warmup": 100} | settings)).fit(NoBias(2), data, seed=0)

    low, high = (fitted(target_acceptance=target).diagnostics["step_size"][0] for target in (0.5, 0.97))
    assert high < 0.8 * low
    still = fitted(warmup=0, step_size=0.0123).diagnostics
    assert still["step_size"][0] == pytest.approx(0.0123)
    same = {"adapt_step_size": False, "step_size": 0.3}
    plain, adapted = (fitted(adapt_mass_matrix=adapts, **same) for adapts in (False, True))
    assert not np.array_equal(plain.arrays["weight"], adapted.arrays["weight"])


@pytest.mark.parametrize("name", ENGINES)
def test_templates_in_double_precision_and_empty_ones(name: str) -> None:
    settings = {"draws": 2, "warmup": 1}
    predictive = bb.fit(bb.posterior(name, **settings), NoBias(2).double(), problem(2))
    assert predictive.draws["weight"].dtype == torch.float32
    assert predictive.log_probs(problem(2).test[0]).isfinite().all()
    with pytest.raises(bb.Incompatible, match="no parameters"):
        bb.fit(bb.posterior(name, **settings), nn.Identity(), problem(2))


class Constant(nn.Module):
    """A buffer that is no part of the `state_dict`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale


@pytest.mark.parametrize("name", ENGINES)
def test_buffers_outside_the_state_are_not_among_the_draws(name: str) -> None:
    predictive = bb.fit(bb.posterior(name, draws=2, warmup=1), Constant(), problem(2))
    assert set(predictive.draws) == {"layer.weight", "layer.bias"}
    assert not predictive.shared


@pytest.mark.parametrize("name", ["pyro-hmc", "numpyro-hmc"])
def test_the_number_of_leapfrog_steps_stays_as_the_step_size_adapts(name: str) -> None:
    posterior = bb.posterior(name, draws=6, warmup=20, leapfrog_steps=7, step_size=0.01)
    diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
    assert (diagnostics["leapfrog_steps"] == 7).all()
    assert diagnostics["step_size"][0] > 0.02
    # Each trial of a step size is one more.
    assert 26 * 7 < diagnostics["gradients"] < 26 * 7 + 40
    fixed = bb.posterior(name, draws=6, warmup=20, leapfrog_steps=7, step_size=0.01, adapt_step_size=False)
    fixed_ones = fixed.fit(NoBias(2), problem(2), seed=0).diagnostics
    assert fixed_ones["step_size"][0] == pytest.approx(0.01)
    assert fixed_ones["gradients"] == 26 * 7


# Velocities of fixed length bound what a step can do: trajectories of the microcanonical sampler are rejected instead.
@pytest.mark.parametrize("name", [name for name in ENGINES if name != "blackjax-mclmc"])
def test_a_step_that_is_far_too_long_shows_as_divergences(name: str) -> None:
    posterior = bb.posterior(name, draws=8, warmup=0, step_size=500.0, adapt_step_size=False)
    draws = posterior.fit(NoBias(2), problem(2), seed=0)
    assert draws.diagnostics["divergences"].all()
    assert draws.diagnostics["acceptance"].max() < 1e-3


def test_draws_must_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match=r"draws \(10\) must be a multiple of chains \(3\)"):
        bb.posterior("pyro-hmc", draws=10, chains=3)
