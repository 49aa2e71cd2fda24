"""Laplace approximations against exact modes, Hessians, integrals and linear functions."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from bnnbench_plugins.laplace import curvature
from bnnbench_plugins.laplace import laplace as module
from bnnbench_plugins.laplace.laplace import Laplace
from bnnbench_plugins.laplace.linearised import Linearised
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy

import bnnbench as bb
from bnnbench.evidence.card import posterior_card

PRIOR_SCALE = 1.5
TRAINED = {"epochs": 300, "learning_rate": 0.05, "prior_scale": PRIOR_SCALE}


@functools.cache
def two_classes(dimensions: int = 1, size: int = 24) -> bb.Data:
    rng = np.random.default_rng(dimensions)
    x = rng.uniform(-2, 2, size=(size, dimensions))
    y = (rng.random(size) < 1 / (1 + np.exp(-(1.5 * x[:, 0] + 0.5)))).astype(np.int64)
    return bb.Data(train=(x, y), test=(x[:4], y[:4]), bounds=(-2, 2), classes=2)


def negative_log_joint(weight: Tensor, data: bb.Data) -> Tensor:
    x, y = data.train
    return cross_entropy(x.double() @ weight.T, y, reduction="sum") + weight.square().sum() / (2 * PRIOR_SCALE**2)


@functools.cache
def exact_mode_and_hessian(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of the density of weights (2, dimensions) by scipy, and the Hessian there by autograd."""
    data = two_classes(dimensions)

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(flat).requires_grad_()
        value = negative_log_joint(leaf.view(2, dimensions), data)
        return value.item(), torch.autograd.grad(value, leaf)[0].numpy()

    found = minimize(value_and_slope, np.zeros(2 * dimensions), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    hessian = torch.autograd.functional.hessian(
        lambda flat: negative_log_joint(flat.view(2, dimensions), data), torch.from_numpy(found)
    )
    return found, hessian.numpy()


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("hessian", ["full", "diagonal"])
def test_logistic_regression_has_the_exact_mode_and_hessian(hessian: str, dimensions: int) -> None:
    count = 40_000
    posterior = Laplace(hessian=hessian, draws=count, **TRAINED)
    draws = posterior.fit(nn.Linear(dimensions, 2, bias=False), two_classes(dimensions), seed=1)
    flat = draws.arrays["weight"][0].reshape(count, -1).astype(float)
    mode, matrix = exact_mode_and_hessian(dimensions)
    matrix = np.diag(np.diag(matrix)) if hessian == "diagonal" else matrix
    root = np.linalg.cholesky(matrix)
    # In standard deviations: five standard errors of the mean and covariance of 40,000 draws, and what the training
    # leaves. The penalty alone holds the sum of both rows of weights, so a wrong one would change the covariance most.
    assert np.abs((flat.mean(0) - mode) @ root).max() < 5 / count**0.5 + 0.1
    assert np.abs(root.T @ np.cov(flat.T) @ root - np.eye(len(mode))).max() < 5 * (2 / count) ** 0.5 + 0.03
    assert "unfinished" not in draws.diagnostics


def test_kronecker_is_the_exact_hessian_where_all_points_have_the_same_probabilities() -> None:
    """Each input has each label once, so that the mode is zero, where all probabilities are 1/3."""
    rng = np.random.default_rng(4)
    x = np.repeat(rng.uniform(-2, 2, size=(7, 2)), 3, axis=0)
    data = bb.Data(train=(x, np.tile(np.arange(3), 7)), test=(x, np.tile(np.arange(3), 7)), bounds=(-2, 2))
    draws = {
        hessian: Laplace(hessian=hessian, draws=40_000, **TRAINED).fit(nn.Linear(2, 3, bias=False), data, seed=0)
        for hessian in ("kronecker", "full")
    }
    found = {name: each.arrays["weight"][0].reshape(40_000, -1).astype(float) for name, each in draws.items()}
    # On the left (diag p - p p^T) (x) sum x x^T + I / s^2, which is exact here.
    matrix = np.kron(np.eye(3) / 3 - 1 / 9, x[::3].T @ x[::3] * 3) + np.eye(6) / PRIOR_SCALE**2
    root = np.linalg.cholesky(matrix)
    for flat in found.values():
        assert np.abs(flat.mean(0) @ root).max() < 0.06
        assert np.abs(root.T @ np.cov(flat.T) @ root - np.eye(6)).max() < 5 * (2 / 40_000) ** 0.5 + 0.01
    evidence = [each.diagnostics["log_evidence"] for each in draws.values()]
    assert evidence[0] == pytest.approx(evidence[1], abs=1e-3)


def test_evidence_and_predictive_are_near_those_by_quadrature() -> None:
    data, x = two_classes(1, size=200), torch.linspace(-2, 2, 9)[:, None]
    axis = torch.linspace(-6 * PRIOR_SCALE, 6 * PRIOR_SCALE, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    logits = data.train[0].double() * grid[:, None, :]
    log_likelihood = logits.log_softmax(-1).gather(2, data.train[1].expand(len(grid), -1)[..., None]).sum((1, 2))
    log_joint = log_likelihood - grid.square().sum(1) / (2 * PRIOR_SCALE**2)
    step = (axis[1] - axis[0]).item()
    evidence = log_joint.logsumexp(0).item() + np.log(step**2 / (2 * np.pi * PRIOR_SCALE**2))
    exact = torch.einsum("g,gnk->nk", log_joint.softmax(0), (x.double() * grid[:, None, :]).softmax(-1))
    predictive = bb.fit(Laplace(hessian="full", draws=20_000, **TRAINED), nn.Linear(1, 2, bias=False), data)
    # What the normal form misses of 200 points, and the Monte Carlo error of 20,000 draws (below 0.001).
    assert predictive.diagnostics["log_evidence"] == pytest.approx(evidence, abs=0.03)
    assert (predictive.log_probs(x).exp() - exact).abs().max() < 0.006


@pytest.mark.slow  # Its library is an extra, and the default run skips nothing.
def test_the_curvature_is_that_of_laplace_torch() -> None:
    other = pytest.importorskip("laplace")
    data = bb.dataset("half-moons", train_size=60).load(0)
    network = bb.initialise(bb.network("fc", hidden=(5,)).build(data), 0)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data.train), batch_size=7)
    weights = dict(network.named_parameters())
    for subset, chosen in (("all", weights), ("last_layer", {k: w for k, w in weights.items() if k[0] == "3"})):
        found = other.Laplace(network, "classification", subset_of_weights=subset, hessian_structure="full")
        found.fit(loader)
        torch.testing.assert_close(
            found.H, curvature.full(network, chosen, data.train[0]).float(), rtol=1e-4, atol=1e-3
        )


# Linear functions of the weights


def fitted(**parameters: object) -> tuple[bb.Predictive, bb.Data]:
    data = bb.dataset("half-moons", train_size=100).load(0)
    network = bb.network("fc", hidden=(6,)).build(data)
    return bb.fit(Laplace(epochs=20, draws=5, **parameters), network, data), data


def explicit(predictive: bb.Predictive, x: Tensor) -> Tensor:
    """f(x, w*) + J(x) (w - w*) with the whole Jacobian, in float64."""
    network = predictive.network.double()
    mode = {name: predictive.shared[f"mode.{name}"].double() for name in predictive.draws}
    jacobian = jacrev(lambda weights: functional_call(network, weights, (x,)))(mode)
    values = functional_call(network, mode, (x,)).expand(len(predictive), -1, -1)
    for name, weight in mode.items():
        step = predictive.draws[name].double() - weight
        values = values + torch.einsum("nkp,sp->snk", jacobian[name].flatten(2), step.flatten(1))
    return values


def test_linearised_draws_are_linear_functions_of_the_weights_with_their_gradient() -> None:
    predictive, data = fitted(weights="all")
    assert isinstance(predictive, Linearised)
    x = data.test[0][:6].clone().requires_grad_()
    cotangent = torch.randn(5, 6, 2)
    found = predictive.logits(x)
    (slope,) = torch.autograd.grad((found * cotangent).sum(), x)
    exact_x = data.test[0][:6].double().requires_grad_()
    expected = explicit(predictive, exact_x)
    (expected_slope,) = torch.autograd.grad((expected * cotangent.double()).sum(), exact_x)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=1e-3, atol=1e-3)


def test_of_the_last_layer_the_linear_functions_are_the_networks() -> None:
    predictive, data = fitted(hessian="full")
    assert predictive.runs_its_network
    assert predictive.draws.keys() == {"3.weight", "3.bias"}
    whole, _ = fitted(hessian="full", weights="all")
    x = data.test[0][:6]
    hidden = whole.network[:3]
    features = functional_call(hidden, {name: predictive.shared[name] for name in ("1.weight", "1.bias")}, (x,))
    for draw in range(5):
        own = features @ predictive.draws["3.weight"][draw].T + predictive.draws["3.bias"][draw]
        torch.testing.assert_close(predictive.logits(x)[draw], own)


@pytest.mark.parametrize("parameters", [{}, {"weights": "all"}, {"weights": "all", "linearised": False}], ids=str)
def test_a_saved_fit_is_the_same_and_can_be_attacked(parameters: dict[str, object], tmp_path: object) -> None:
    posterior = bb.posterior("laplace", epochs=5, draws=4, **parameters)
    data = bb.dataset("half-moons", train_size=100).load(0)
    predictive = bb.fit(posterior, bb.network("fc", hidden=(6,)).build(data), data)
    predictive.save(f"{tmp_path}/draws.safetensors")
    loaded = bb.load(f"{tmp_path}/draws.safetensors")
    x, y = data.test[0][:8], data.test[1][:8]
    assert torch.equal(predictive.logits(x), loaded.logits(x))
    attacked = bb.attack("fgsm")(loaded, x, y, bb.Threat(epsilon=0.1))
    assert (attacked - x).abs().max() == pytest.approx(0.1)
    assert loaded.log_probs(attacked)[range(8), y].mean() < loaded.log_probs(x)[range(8), y].mean()


# What is refused or told


def test_newton_steps_finish_a_short_training() -> None:
    data, network = two_classes(2), nn.Linear(2, 2)
    short = {"epochs": 1, "learning_rate": 1e-12, "prior_scale": PRIOR_SCALE, "hessian": "full", "draws": 20}
    started = bb.fit(Laplace(newton_steps=0, **short), network, data)
    assert started.diagnostics["shift"] > 0.5
    card = posterior_card(started, data)
    assert card["level"] == "short"
    assert "more epochs" in card["why"]
    finished = bb.fit(Laplace(**short), network, data)
    assert finished.diagnostics["shift"] < 0.1
    assert finished.diagnostics["newton_steps"] > 0
    assert posterior_card(finished, data)["level"] == "independent"


def test_a_full_matrix_of_too_many_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FULL", 20)
    data = bb.dataset("half-moons", train_size=20).load(0)
    network = bb.network("fc", hidden=(6,)).build(data)
    with pytest.raises(bb.Incompatible, match=r"at most 20 weights, and there are 32: .*kronecker.*last-layer"):
        Laplace(hessian="full", weights="all").check(network, data)
    Laplace(hessian="full").check(network, data)
    Laplace(weights="all").check(network, data)


def test_a_network_without_a_last_linear_layer_has_no_last_layer() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with pytest.raises(bb.Incompatible, match="not the outputs of a linear layer"):
        Laplace().check(network, two_classes(2))
    assert Laplace(weights="all", epochs=1, draws=2).fit(network, two_classes(2), seed=0).per_chain == 2


def test_linear_functions_share_the_statistics_of_batch_norm() -> None:
    with pytest.raises(bb.ParameterError, match="linearised: false"):
        Laplace(weights="all", batch_norm="recalibrated")
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    posterior = Laplace(weights="all", linearised=False, batch_norm="recalibrated", epochs=2, draws=3)
    assert posterior.fit(network, two_classes(2), seed=0).arrays["1.running_mean"].shape == (1, 3, 4)
