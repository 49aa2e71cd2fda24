"""The posteriors over functions as users see them: exact probabilities, fixed functions, files, refusals."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.gp.gaussian_process import RadialBasisProcess
from bnnbench_plugins.gp.nngp import Nngp
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.evidence.card import posterior_card

BOTH = {"gaussian-process": RadialBasisProcess, "nngp": Nngp}
both = pytest.mark.parametrize("posterior", BOTH.values(), ids=BOTH)


@functools.cache
def moons() -> bb.Data:
    return bb.dataset("half-moons", train_size=80, test_size=40).load(seed=0)


@functools.cache
def network() -> nn.Module:
    return bb.network("fc", hidden=(8, 8)).build(moons())


@functools.cache
def fitted(posterior: type[Any], seed: int = 0, draws: int = 6) -> bb.Predictive:
    return bb.fit(posterior(draws=draws), network(), moons(), seed=seed)


# Exact probabilities


def few_points() -> bb.Data:
    """Three training points on a line, of two classes."""
    x, y = np.array([[0.1], [0.4], [0.9]]), np.array([0, 0, 1])
    return bb.Data(train=(x, y), test=(x, y), classes=2)


AT = torch.tensor([[0.0], [0.25], [0.5], [0.65], [0.8], [1.0]])


def squared_exponential(a: Tensor, b: Tensor) -> np.ndarray:
    return 4 * np.exp(-((a.double().numpy() - b.double().numpy().T) ** 2) / (2 * 0.3**2))


def relu_network(a: Tensor, b: Tensor) -> np.ndarray:
    """4 times the kernel of one hidden layer, with weight_scale 1.4 and bias_scale 0.3, by quadrature over weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    # The preactivation 0.3 b + 1.4 w x of two standard normal variables.
    hidden = [np.maximum(0.3 * nodes[:, None] + 1.4 * nodes * x.item(), 0) for x in (*a.double(), *b.double())]
    weighted = weights[:, None] * weights
    moments = np.array([[(weighted * u * v).sum() for v in hidden[len(a) :]] for u in hidden[: len(a)]])
    return 4 * (0.09 + 1.96 * moments)


@pytest.mark.parametrize(
    ("posterior", "covariance"),
    [
        (RadialBasisProcess(lengthscale=0.3, scale=2, draws=4000, concentration=0.1), squared_exponential),
        (
            Nngp(hidden_layers=1, activation="relu", output_scale=2, draws=4000, concentration=0.1, width=16),
            relu_network,
        ),
    ],
    ids=BOTH,
)
def test_the_probabilities_of_a_small_problem_are_exact(posterior: bb.Posterior, covariance: Any) -> None:
    # The latent function of each class is regressed on log-gamma targets; the probability of a class is the mean of a
    # logistic function over the normal difference of the two, an integral over one variable.
    data = few_points()
    x, y = data.train
    among, across = covariance(x, x), covariance(AT, x)
    there = np.array([covariance(point[None], point[None])[0, 0] for point in AT])
    means, variances = [], []
    for label in range(2):
        observed = (y.numpy() == label) + 0.1
        noise = np.log1p(1 / observed)
        targets = np.log(observed) - noise / 2
        targets = targets - (np.log(0.11) - (np.log1p(1 / 1.1) + np.log1p(1 / 0.1)) / 2) / 2
        gain = across @ np.linalg.inv(among + np.diag(noise))
        means.append(gain @ targets)
        variances.append(there - (gain * across).sum(1))
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    difference = (means[1] - means[0])[:, None] + np.sqrt(variances[0] + variances[1])[:, None] * nodes
    expected = (1 / (1 + np.exp(-difference))) @ (weights / weights.sum())

    found = bb.fit(posterior, bb.network("fc").build(data), data, seed=0).draw_log_probs(AT)[:, :, 1].exp()
    errors = (found.mean(0).numpy() - expected) / (found.std(0).numpy() / 4000**0.5)
    assert np.abs(errors).max() < 4.5


# Fixed functions


@both
def test_they_predict_half_moons(posterior: type[Any]) -> None:
    x, y = moons().test
    predictive = fitted(posterior, draws=20)
    assert (predictive.log_probs(x).argmax(1) == y).float().mean() > 0.85
    assert predictive.log_probs(x).dtype == torch.float32
    assert posterior_card(predictive, moons())["level"] == "independent"


@both
def test_one_seed_gives_the_same_bits_and_another_other_draws(posterior: type[Any]) -> None:
    one, again, other = fitted(posterior), bb.fit(posterior(draws=6), network(), moons(), seed=0), fitted(posterior, 1)
    for name, array in one.draws.items():
        assert torch.equal(array, again.draws[name])
        assert not torch.equal(array, other.draws[name])


@both
def test_draws_are_the_same_functions_whatever_they_are_evaluated_with(posterior: type[Any]) -> None:
    predictive, x = fitted(posterior), moons().test[0]
    together = predictive.logits(x)
    alone = torch.cat([predictive.logits(point[None], [4, 1]) for point in x], dim=1)
    assert (together[[4, 1]] - alone).abs().max() < 1e-4
    assert torch.equal(predictive.logits(x, slice(2, 5)), predictive.logits(x, [2, 3, 4]))


@both
def test_gradients_are_those_of_finite_differences(posterior: type[Any]) -> None:
    single = fitted(posterior)
    # The same functions in float64, in which differences are accurate.
    arrays = {name: array.double()[None] for name, array in single.draws.items()}
    shared = {name: array.double() for name, array in single.shared.items()}
    predictive = posterior().predictive(network(), bb.Draws(arrays, shared=shared))
    x = moons().test[0][:5].double().requires_grad_()
    (slope,) = torch.autograd.grad(predictive.logits(x)[:, :, 1].sum(), x)
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = 1e-6
        with torch.no_grad():
            difference = (predictive.logits(x + step) - predictive.logits(x - step))[:, :, 1].sum(0) / 2e-6
        np.testing.assert_allclose(slope[:, axis], difference, rtol=1e-4, atol=1e-4)
    (rounded,) = torch.autograd.grad(
        single.logits(single_x := x.detach().float().requires_grad_())[:, :, 1].sum(), single_x
    )
    assert (rounded - slope).abs().max() < 1e-3 * slope.abs().max()


@both
def test_training_points_have_finite_gradients(posterior: type[Any]) -> None:
    x, y = moons().train
    assert fitted(posterior).gradient(x, y, "expected-loss").isfinite().all()


@both
def test_rounding_to_float32_changes_little(posterior: type[Any]) -> None:
    predictive = fitted(posterior)
    arrays = {name: array.double()[None] for name, array in predictive.draws.items()}
    shared = {name: array.double() for name, array in predictive.shared.items()}
    exact = posterior().predictive(network(), bb.Draws(arrays, shared=shared))
    x = moons().test[0]
    assert (predictive.logits(x).double() - exact.logits(x.double())).abs().max() < 1e-3


@both
def test_a_saved_predictive_is_restored(posterior: type[Any], tmp_path: Path) -> None:
    predictive, x = fitted(posterior), moons().test[0]
    predictive.save(tmp_path / "draws.safetensors")
    loaded = bb.load(tmp_path / "draws.safetensors")
    assert type(loaded) is type(predictive)
    assert torch.equal(loaded.logits(x), predictive.logits(x))


@both
def test_attacks_follow_the_functions(posterior: type[Any]) -> None:
    outcome = bb.evaluate(fitted(posterior), bb.attack("fgsm"), moons(), epsilon=0.1, images=40, seed=0)
    random = bb.evaluate(fitted(posterior), bb.attack("random-sign"), moons(), epsilon=0.1, images=40, seed=0)
    assert outcome.robust_accuracy < random.robust_accuracy < outcome.clean_accuracy + 1e-9


@both
def test_the_default_type_of_the_host_changes_nothing(posterior: type[Any]) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        again = bb.fit(posterior(draws=6), network(), moons(), seed=0)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(array, again.draws[name]) for name, array in fitted(posterior).draws.items())


# What is refused, and what is given


@both
def test_certificates_refuse_functions(posterior: type[Any]) -> None:
    with pytest.raises(bb.Incompatible):
        bb.certify(fitted(posterior), bb.certificate("crown"), moons(), epsilon=0.01, images=2)


@both
def test_matrices_that_are_too_large_are_refused_before_the_fit(posterior: type[Any]) -> None:
    x, y = np.zeros((20_000, 2)), np.arange(20_000) % 2
    data = bb.Data(train=(x, y), test=(x[:1], y[:1]), classes=2)
    with pytest.raises(bb.Incompatible, match="set inducing and evidence_points to at most 8192"):
        posterior(inducing=20_000).check(network(), data)
    posterior(inducing=8192).check(network(), data)


def test_nngp_refuses_other_networks_unless_it_is_told_the_architecture() -> None:
    x, y = np.random.default_rng(0).random((12, 1, 16, 16)), np.arange(12) % 3
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    convolutional = bb.network("conv").build(data)
    with pytest.raises(bb.Incompatible, match=r"nngp reads hidden_layers and activation .* set both"):
        bb.fit(Nngp(), convolutional, data)
    bb.fit(Nngp(hidden_layers=1, activation="tanh", draws=2), convolutional, data)
    bb.fit(RadialBasisProcess(draws=2), convolutional, data)


def test_nngp_takes_what_is_given_and_reads_the_rest() -> None:
    known = Nngp(activation="tanh").fixed(network())
    assert (known["hidden_layers"].item(), known["activation"].item()) == (2, 2)
    assert Nngp(hidden_layers=5, output_scale=2).fixed(network())["hidden_layers"].item() == 5
    predictive = bb.fit(Nngp(hidden_layers=3, draws=2, width=7), network(), moons())
    assert predictive.draws["prior.2.weight"].shape == (2, 7, 7)


def test_hyperparameters_that_are_given_are_used() -> None:
    predictive = bb.fit(RadialBasisProcess(lengthscale=0.5, draws=2), network(), moons())
    assert predictive.shared["lengthscale"].item() == 0.5
    assert set(predictive.diagnostics) == {"scale", "concentration", "inducing", "seconds"}
    own = bb.fit(RadialBasisProcess(ard=True, draws=2, inducing=30), network(), moons())
    assert own.shared["lengthscale"].shape == (2,)
    assert own.diagnostics["inducing"] == len(own.shared["points"]) == 30


@both
def test_labels_that_overlap_get_a_larger_concentration(posterior: type[Any]) -> None:
    chosen = [
        bb.fit(posterior(draws=2), network(), bb.dataset("half-moons", noise=noise, train_size=150).load(seed=0))
        for noise in (0.05, 0.4)
    ]
    assert chosen[0].diagnostics["concentration"] < 0.005 < chosen[1].diagnostics["concentration"]
