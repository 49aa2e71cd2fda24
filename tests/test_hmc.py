"""Hamiltonian samplers against quadrature: Bayesian logistic regression, the same prior, both engines.

A linear layer of two classes has two rows of weights, each N(0, s^2); only their difference, N(0, 2 s^2) under the
prior, enters the likelihood. So the posterior of the difference is known from a grid in one or two dimensions.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb
from bnnbench.evidence.card import mixing

ENGINES: dict[str, dict[str, Any]] = {
    "pyro-hmc": {"leapfrog_steps": 3, "step_size": 0.2},
    "numpyro-hmc": {"leapfrog_steps": 5, "step_size": 0.2},
    "numpyro-nuts": {"step_size": 0.2},
}
PRIOR = 1.5


class NoBias(nn.Linear):
    """A linear layer of two classes without bias: as many differences as inputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 2, bias=False)


def problem(inputs: int) -> bb.Data:
    generator = np.random.default_rng(inputs)
    x = generator.uniform(-1, 1, size=(12, inputs)).astype("f4")
    y = (x @ np.array([2.0, -1.0])[:inputs] + 0.5 * generator.normal(size=12) > 0).astype(int)
    return bb.Data(train=(x, y), test=(x, y), bounds=(-1, 1))


def exact(data: bb.Data, prior: float, points: int = 401) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each coordinate of the difference of weights, by quadrature on a grid."""
    x, y = data.train[0].double().numpy(), data.train[1].numpy()
    axis = np.linspace(-6 * prior * np.sqrt(2), 6 * prior * np.sqrt(2), points)
    grid = np.stack(np.meshgrid(*[axis] * x.shape[1], indexing="ij"), -1).reshape(-1, x.shape[1])
    logits = grid @ x.T
    log_density = -np.logaddexp(0, np.where(y == 1, -logits, logits)).sum(1) - (grid**2).sum(1) / (4 * prior**2)
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = weights @ grid
    return mean, np.sqrt(weights @ (grid - mean) ** 2)


def differences(draws: bb.Draws) -> np.ndarray:
    weight = draws.arrays["weight"].astype(float)
    return weight[:, :, 1] - weight[:, :, 0]


def deviations(name: str, inputs: int, prior: float, assumed: float) -> float:
    """The largest deviation of sampled means and standard deviations from those by quadrature, in standard errors."""
    data = problem(inputs)
    posterior = bb.posterior(name, draws=2000, chains=2, warmup=200, prior_scale=prior, **ENGINES[name])
    found = differences(posterior.fit(NoBias(inputs), data, seed=3))
    rhat, ess = mixing(np.concatenate([found, found**2], -1))
    assert rhat is not None
    assert ess is not None
    assert rhat < 1.05
    mean, deviation = exact(data, assumed)
    error_of_mean = np.abs(found.mean((0, 1)) - mean) / (deviation / np.sqrt(ess))
    # The standard error of a standard deviation, of a distribution about as peaked as a normal, is s / sqrt(2 n).
    error_of_deviation = np.abs(found.std((0, 1)) - deviation) / (deviation / np.sqrt(2 * ess))
    return float(max(error_of_mean.max(), error_of_deviation.max()))


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("name", ENGINES)
def test_logistic_regression_agrees_with_quadrature(name: str, inputs: int) -> None:
    """Within 4.5 standard errors, taken at the smallest ESS: an error rate below 3e-5 for the four figures."""
    assert deviations(name, inputs, PRIOR, PRIOR) < 4.5


@pytest.mark.parametrize("name", ENGINES)
def test_a_prior_that_is_wrong_by_a_root_of_two_would_be_noticed(name: str) -> None:
    assert deviations(name, 1, PRIOR, PRIOR * np.sqrt(2)) > 6


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
    """Statistics that the template brings do not matter: like weights, they are made anew. Then a batch norm at its
    first statistics is an affine map, and the draws are those of the network that has it written out."""
    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(7.0)
    network = nn.Sequential(norm, nn.Linear(2, 2)).eval()
    settings = {"draws": 4, "chains": 2, "warmup": 2, "step_size": 0.05, "adapt_step_size": False}
    data = problem(2)
    draws = bb.posterior(name, **settings).fit(network, data, seed=1)
    assert np.array_equal(draws.shared["0.running_mean"], [0, 0])
    assert np.array_equal(draws.shared["0.running_var"], [1, 1])
    assert norm.running_mean.tolist() == [3, 3]
    untouched = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)).eval()
    same = bb.posterior(name, **settings).fit(untouched, data, seed=1)
    for key, array in draws.arrays.items():
        assert np.array_equal(array, same.arrays[key])
    predictive = bb.fit(bb.posterior(name, **settings), network, data, seed=1)
    logits = predictive.logits(data.test[0])
    for number in range(4):
        weights = {key: torch.as_tensor(array) for key, array in draws.flat().items()}
        rows = (data.test[0] / (1 + 1e-5) ** 0.5 * weights["0.weight"][number] + weights["0.bias"][number]).double()
        plain = rows @ weights["1.weight"][number].double().T + weights["1.bias"][number].double()
        assert torch.allclose(logits[number].double(), plain, atol=1e-5)


@pytest.mark.parametrize("name", ["pyro-hmc", pytest.param("numpyro-hmc", marks=pytest.mark.slow), "numpyro-nuts"])
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


def test_trees_have_the_depth_allowed_and_what_hits_it_is_counted() -> None:
    settings = {"draws": 30, "warmup": 0, "step_size": 1e-3}
    for depth in (1, 3):
        posterior = bb.posterior("numpyro-nuts", max_tree_depth=depth, **settings)
        diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
        assert (diagnostics["leapfrog_steps"] == 2**depth - 1).all()
        assert diagnostics["depth_cap_hits"] == 30
    free = bb.posterior("numpyro-nuts", max_tree_depth=10, draws=30, warmup=0, step_size=0.5)
    assert free.fit(NoBias(2), problem(2), seed=0).diagnostics["depth_cap_hits"] == 0


def test_pyros_diagnostics_are_those_of_its_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients as counted at the potential itself, and acceptance as Metropolis's rule gives it."""
    from bnnbench_plugins.pyro import sampling

    evaluations, accepted = [0], []
    original, verlet = sampling.negative_log_posterior, sampling.HMC.sample

    def counting(*arguments: Any) -> Any:
        potential = original(*arguments)

        def counted(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            evaluations[0] += 1
            return potential(weights)

        return counted

    def sample(kernel: Any, weights: Any) -> Any:
        before = kernel._mean_accept_prob, kernel._t
        moved = verlet(kernel, weights)
        accepted.append((before, kernel._mean_accept_prob, kernel._t))
        return moved

    monkeypatch.setattr(sampling, "negative_log_posterior", counting)
    monkeypatch.setattr(sampling.HMC, "sample", sample)
    posterior = bb.posterior(
        "pyro-hmc", draws=12, warmup=0, leapfrog_steps=4, step_size=0.8, adapt_step_size=False, thin=2
    )
    diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
    # One more at the start of the chain.
    assert evaluations[0] - 1 == diagnostics["gradients"] == 24 * 4
    mean = float(np.mean(diagnostics["acceptance"]))
    assert mean == pytest.approx(accepted[-1][1], abs=1e-9)
    assert diagnostics["acceptance"].std() > 0.01
    assert ((diagnostics["acceptance"] >= 0) & (diagnostics["acceptance"] <= 1)).all()


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


def test_the_randomness_of_chains_is_that_of_nothing_else() -> None:
    from bnnbench_plugins.markov_chain import chain_seeds

    from bnnbench.core import seeds

    ours = [seed for chain in range(8) for seed in chain_seeds(0, chain)]
    others = [seeds.derive(0, purpose) for purpose in range(10)]
    assert len({*ours, *others}) == len(ours) + len(others)


@pytest.mark.parametrize("name", ["pyro-hmc", "numpyro-hmc"])
def test_the_number_of_leapfrog_steps_stays_as_the_step_size_adapts(name: str) -> None:
    posterior = bb.posterior(name, draws=6, warmup=20, leapfrog_steps=7, step_size=0.01)
    diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
    assert (diagnostics["leapfrog_steps"] == 7).all()
    assert diagnostics["step_size"][0] > 0.02
    assert diagnostics["gradients"] == 26 * 7
    fixed = bb.posterior(name, draws=6, warmup=20, leapfrog_steps=7, step_size=0.01, adapt_step_size=False)
    assert fixed.fit(NoBias(2), problem(2), seed=0).diagnostics["step_size"][0] == pytest.approx(0.01)


@pytest.mark.parametrize("name", ENGINES)
def test_a_step_that_is_far_too_long_shows_as_divergences(name: str) -> None:
    posterior = bb.posterior(name, draws=8, warmup=0, step_size=500.0, adapt_step_size=False)
    draws = posterior.fit(NoBias(2), problem(2), seed=0)
    assert draws.diagnostics["divergences"].all()
    assert draws.diagnostics["acceptance"].max() < 1e-3


def test_draws_must_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match=r"draws \(10\) must be a multiple of chains \(3\)"):
        bb.posterior("pyro-hmc", draws=10, chains=3)


def test_a_network_that_jax_cannot_run_is_incompatible() -> None:
    with pytest.raises(bb.Incompatible, match="Hardshrink"):
        bb.posterior("numpyro-nuts").fit(nn.Sequential(nn.Linear(2, 2), nn.Hardshrink()), problem(2), seed=0)


@pytest.mark.parametrize(("network", "parameters"), [("fc", {"hidden": (5, 4)}), ("conv", {"hidden": 3})])
@pytest.mark.parametrize("prior", [0.3, 2.0])
def test_pyros_potential_is_that_of_the_plain_model(network: str, parameters: dict[str, Any], prior: float) -> None:
    """The same gradients as those of the Pyro model that one would write, and the same density up to a constant."""
    import pyro
    from bnnbench_plugins.pyro.sampling import negative_log_posterior
    from pyro import distributions
    from pyro.infer.mcmc.util import initialize_model
    from pyro.ops.integrator import potential_grad

    generator = torch.Generator().manual_seed(0)
    shape = (1, 28, 28) if network == "conv" else (6,)
    x, y = torch.rand(20, *shape, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    module = bb.network(network, **parameters).build(data)

    def model() -> None:
        weights = {
            name: pyro.sample(name, distributions.Normal(0.0, prior).expand(weight.shape).to_event(weight.ndim))
            for name, weight in module.named_parameters()
        }
        logits = torch.func.functional_call(module, weights, (x,))
        pyro.sample("label", distributions.Categorical(logits=logits).to_event(1), obs=y)

    _, plain, _, _ = initialize_model(model)
    ours = negative_log_posterior(module, data, prior)
    constants = []
    for _ in range(3):
        weights = {
            name: torch.randn(weight.shape, generator=generator) * prior for name, weight in module.named_parameters()
        }
        expected, reference = potential_grad(plain, dict(weights))
        gradients, value = potential_grad(ours, dict(weights))
        constants.append(float(reference - value))
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-3 * float(expected[name].abs().max()))
    assert np.ptp(constants) < 1e-3 * max(1.0, abs(constants[0]))


def test_numpyro_compiles_a_shape_once_for_the_process() -> None:
    from bnnbench_plugins.numpyro import sampling

    def fitted(prior: float, seed: int, hidden: int = 3) -> tuple[bb.Predictive, int]:
        before = len(sampling._programs)
        data = problem(2)
        posterior = bb.posterior("numpyro-nuts", draws=4, warmup=3, max_tree_depth=2, prior_scale=prior)
        predictive = bb.fit(posterior, bb.network("fc", hidden=(hidden,)).build(data), data, seed=seed)
        return predictive, len(sampling._programs) - before

    first, programs = fitted(0.7, 0)
    assert programs == 2  # The start of a chain, and its transition.
    assert fitted(0.7, 1)[1] == 0
    again, programs = fitted(0.7, 0)
    assert programs == 0
    assert all(torch.equal(first.draws[name], again.draws[name]) for name in first.draws)
    assert fitted(0.8, 0)[1] == 2
    assert fitted(0.7, 0, hidden=4)[1] == 2
