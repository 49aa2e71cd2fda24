"""Hamiltonian samplers against quadrature: Bayesian logistic regression, the same prior, both engines.

A linear layer of two classes has two rows of weights, each N(0, s^2); only their difference, N(0, 2 s^2) under the
prior, enters the likelihood. So the posterior of the difference is known from a grid in one or two dimensions.
"""

from __future__ import annotations

import numpy as np
import pytest
from logistic import ENGINES, NoBias, problem

import bnnbench as bb
from bnnbench.statistics.mixing import mixing

pytestmark = pytest.mark.integration


PRIOR = 1.5


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
