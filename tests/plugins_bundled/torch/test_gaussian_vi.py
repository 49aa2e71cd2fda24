"""Variational inference with correlations against exact optima."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch import gaussian_vi as module
from bnnbench_plugins.torch.correlated import FullCovariance, LowRank
from bnnbench_plugins.torch.gaussian_vi import GaussianVI
from scipy.optimize import minimize
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence
from torch.nn.functional import logsigmoid

import bnnbench as bb
from bnnbench.evidence.card import posterior_card

PRIOR_SCALE = 1.5


@functools.cache
def two_classes(size: int = 24) -> bb.Data:
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, size=(size, 1))
    y = (rng.random(size) < 1 / (1 + np.exp(-1.5 * x[:, 0]))).astype(np.int64)
    return bb.Data(train=(x, y), test=(x[:1], y[:1]), bounds=(-2, 2), classes=2)


@functools.cache
def exact_optimum() -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (2,), covariance (2, 2) and ELBO of the best normal of two weights, one for each class.

    The difference of the two logits is normal under q, so each point's expected log-likelihood is an integral over one
    variable, taken by Gauss-Hermite quadrature.
    """
    x, y = two_classes().train
    signed = x[:, 0].double() * (2.0 * y - 1)
    nodes, node_weights = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(60))
    prior = MultivariateNormal(torch.zeros(2).double(), PRIOR_SCALE**2 * torch.eye(2).double())

    def bound(flat: torch.Tensor) -> torch.Tensor:
        factor = torch.diag(flat[2:4].exp()) + flat[4] * torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double()
        q = MultivariateNormal(flat[:2], scale_tril=factor)
        deviation = (
            q.covariance_matrix @ torch.tensor([-1.0, 1.0]).double() @ torch.tensor([-1.0, 1.0]).double()
        ).sqrt()
        margins = signed[:, None] * (flat[1] - flat[0] + deviation * nodes)
        return (logsigmoid(margins) * node_weights).sum() / node_weights.sum() - kl_divergence(q, prior)

    def negative(flat: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(flat).requires_grad_()
        value = -bound(leaf)
        return value.item(), torch.autograd.grad(value, leaf)[0].numpy()

    found = minimize(negative, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-8})
    factor = np.array([[np.exp(found.x[2]), 0], [found.x[4], np.exp(found.x[3])]])
    return found.x[:2], factor @ factor.T, -found.fun


@pytest.mark.integration
@pytest.mark.parametrize(
    "parameters",
    [
        {"covariance": "full", "learning_rate": 0.05},
        {"rank": 2, "learning_rate": 0.5},
        {"rank": 1, "learning_rate": 0.5},
    ],
    ids=["full", "rank-2", "rank-1"],
)
def test_it_reaches_the_exact_optimum_with_its_correlation(parameters: dict[str, Any]) -> None:
    """Of two weights a low-rank covariance is any covariance. The optimum has a correlation of 0.87."""
    mean, covariance, elbo = exact_optimum()
    posterior = GaussianVI(epochs=1500, initial_scale=0.3, prior_scale=PRIOR_SCALE, draws=50_000, **parameters)
    draws = posterior.fit(nn.Linear(1, 2, bias=False), two_classes(), seed=3)
    weights = draws.arrays["weight"][0, :, :, 0].astype(float)
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    # In standard deviations of the optimum. Without the correlation an entry would be 0.87 / 0.49 = 1.8 too large.
    assert np.abs(root @ (weights.mean(0) - mean)).max() < 0.15
    np.testing.assert_allclose(root @ np.cov(weights.T) @ root.T, np.eye(2), atol=0.25)
    # The standard error of a hundred draws is 0.05 nats.
    assert draws.diagnostics["elbo"] == pytest.approx(elbo, abs=0.2)
    assert "unfinished" not in draws.diagnostics


def distributions() -> list[tuple[LowRank | FullCovariance, torch.Tensor]]:
    """Distributions of 8 weights with any parameters, each with its covariance."""
    torch.manual_seed(2)
    made: list[tuple[LowRank | FullCovariance, torch.Tensor]] = []
    low = LowRank(nn.Linear(3, 2), torch.zeros(2, 3), 0.4, torch.Generator().manual_seed(0), rank=2)
    full = FullCovariance(nn.Linear(3, 2), 0.4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for q in (low, full):
            for scale in q.log_scales.values():
                scale += 0.5 * torch.randn(scale.shape)
        for direction in low.directions.values():
            direction *= 20
        full.below += torch.randn(8, 8)
        scales = [torch.cat([one.flatten() for one in q.log_scales.values()]).exp() for q in (low, full)]
        b = 0.1 * torch.cat([one.flatten(1) for one in low.directions.values()], 1).T
        mixing = torch.eye(8) + full.below.tril(-1) / math.sqrt(8)
    made.append((low, scales[0].diag() @ (torch.eye(8) + b @ b.T / 2) @ scales[0].diag()))
    made.append((full, scales[1].diag() @ mixing @ mixing.T @ scales[1].diag()))
    return made


@pytest.mark.parametrize("number", [0, 1], ids=["low-rank", "full"])
def test_divergence_and_draws_are_those_of_the_normal_distribution(number: int) -> None:
    q, covariance = distributions()[number]
    mean = torch.cat([one.detach().flatten() for one in q.means.values()])
    exact = kl_divergence(
        MultivariateNormal(mean.double(), covariance.double()),
        MultivariateNormal(torch.zeros(8).double(), 0.49 * torch.eye(8).double()),
    )
    assert q.divergence(0.7).item() == pytest.approx(exact.item(), rel=1e-4)
    draws = q.draw(40_000)
    joint = torch.cat([draws["weight"].flatten(1), draws["bias"]], 1).double()
    root = torch.linalg.inv(torch.linalg.cholesky(covariance.double()))
    # Whitened, the sample mean and covariance of 40,000 draws within five standard errors.
    assert (root @ (joint.mean(0) - mean)).abs().max() < 5 / 200
    assert (root @ joint.T.cov() @ root.T - torch.eye(8)).abs().max() < 5 * (2 / 40_000) ** 0.5


@pytest.mark.parametrize("number", [0, 1], ids=["low-rank", "full"])
def test_the_logits_of_a_training_step_have_the_distribution_of_the_draws(number: int) -> None:
    q, covariance = distributions()[number]
    x = torch.tensor([[1.0, -2.0, 0.5]])
    with torch.no_grad():
        found = torch.cat([q.logits(x) for _ in range(4000)])
        expected = x @ q.means["weight"].T + q.means["bias"]
    # The logits of one point are this matrix times the flattened weight and bias.
    of_weights = torch.cat([torch.kron(torch.eye(2), x), torch.eye(2)], 1)
    root = torch.linalg.inv(torch.linalg.cholesky(of_weights @ covariance @ of_weights.T))
    assert (root @ (found.mean(0) - expected[0])).abs().max() < 5 / 4000**0.5
    assert (root @ found.T.cov() @ root.T - torch.eye(2)).abs().max() < 5 * (2 / 4000) ** 0.5


def test_a_training_that_ended_early_is_called_short() -> None:
    """Where inputs are zero only the divergence has a slope: each weight's is 1 - (its scale / the prior's)^2."""
    data = bb.Data(train=(np.zeros((8, 2)), np.arange(8) % 2), test=(np.zeros((4, 2)), np.arange(4) % 2))
    for scale in (0.1, 0.4):
        posterior = GaussianVI(
            covariance="full", epochs=1, learning_rate=1e-12, prior_scale=0.4, initial_scale=scale, draws=3
        )
        predictive = bb.fit(posterior, nn.Linear(2, 2, bias=False), data, seed=0)
        slope = 1 - (scale / 0.4) ** 2
        assert predictive.diagnostics["width_slope"] == pytest.approx(slope, abs=1e-5)
        assert posterior_card(predictive, data)["level"] == ("short" if slope else "independent")


def test_the_slope_is_that_of_the_bound_with_dropout() -> None:
    """Dropout of all values leaves the divergence alone, whose slope is 0 where the scales are the prior's."""
    posterior = GaussianVI(covariance="full", epochs=1, learning_rate=1e-12, prior_scale=0.4, initial_scale=0.4)
    dropped, plain = (
        posterior.fit(nn.Sequential(layer, nn.Linear(1, 2, bias=False)), two_classes(), seed=0)
        for layer in (nn.Dropout(1.0), nn.Identity())
    )
    assert dropped.diagnostics["width_slope"] == pytest.approx(0, abs=1e-5)
    assert plain.diagnostics["width_slope"] < -0.15
    # The estimate does not change what is drawn after it.
    np.testing.assert_allclose(dropped.arrays["1.weight"], plain.arrays["1.weight"], atol=1e-6)
    assert dropped.diagnostics["elbo"] == pytest.approx(plain.diagnostics["elbo"], abs=1e-4)


def test_a_full_covariance_of_too_many_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FULL", 5)
    with pytest.raises(bb.Incompatible, match=r"at most 5 weights, and there are 6: .*low-rank"):
        GaussianVI(covariance="full").check(nn.Linear(2, 2), two_classes())
    GaussianVI().check(nn.Linear(2, 2), two_classes())
