"""Stochastic gradients against known answers: normal posteriors with the exact bias of each step, and quadrature.

Where all inputs are zero the likelihood is flat, and the posterior is the prior N(0, s^2) of each weight. On it both
samplers are linear, so that their variance at each step is known exactly, bias included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from logistic import NoBias, problem

import bnnbench as bb
from bnnbench.statistics.mixing import mixing

pytest.importorskip("blackjax", reason="BlackJAX is an extra")
pytestmark = pytest.mark.integration
PRIOR, POINTS, INPUTS = 1.5, 12, 500
FLAT = bb.Data(
    train=(np.zeros((POINTS, INPUTS), "f4"), np.arange(POINTS) % 2), test=(np.zeros((2, INPUTS), "f4"), [0, 1])
)
"""Data with a flat likelihood in 1,000 weights."""


def step_of(momentum: float | None, e: float, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """One step on N(0, PRIOR^2) as a linear map of (w, r), and the covariance of the noise that it adds.

    The module of the samplers gives the equations; r changes by the gradient at the place to which w has moved.
    """
    k, h = e / PRIOR**2, np.sqrt(e)
    if momentum is None:
        return np.diag([1 - k, 0.0]), np.diag([2 * temperature * e, 0.0])
    return np.array([[1, h], [-k / h, momentum - k]]), np.diag([0.0, 2 * temperature * (1 - momentum)])


def exact_variances(posterior: Any) -> list[float]:
    """The variance of the weights at each kept draw of a chain whose start has been forgotten by then."""
    from bnnbench_plugins.sgmcmc.schedules import stretches

    covariance, kept = np.zeros((2, 2)), []
    for stretch in stretches(posterior):
        for rate, temperature in zip(stretch.rates, stretch.temperatures, strict=True):
            move, noise = step_of(posterior.decay, rate / POINTS, temperature)
            covariance = move @ covariance @ move.T + noise
        kept += [covariance[0, 0]] if stretch.kept else []
    return kept


@pytest.mark.parametrize("batch", [POINTS, 4])
@pytest.mark.parametrize(
    ("name", "schedule", "rate"),
    [
        ("sgld", "constant", 1.0),
        ("sgld", "constant", 15.0),
        ("sgld", "decreasing", 15.0),
        ("sgld", "cyclical", 15.0),
        ("sghmc", "constant", 1.0),
        ("sghmc", "constant", 15.0),
        ("sghmc", "cyclical", 15.0),
    ],
)
def test_variances_are_those_of_the_linear_recursion(name: str, schedule: str, rate: float, batch: int) -> None:
    """Each of 10 draws has 1,000 weights, independent normals: 4.5 standard errors of a variance, sqrt(2 / 1000)."""
    posterior = bb.posterior(
        name, draws=10, prior_scale=PRIOR, learning_rate=rate, schedule=schedule, batch_size=batch, warmup=200, thin=30
    )
    weights = posterior.fit(NoBias(INPUTS), FLAT, seed=1).arrays["weight"][0].astype(float)
    ratios = (weights**2).mean((1, 2)) / exact_variances(posterior)
    assert np.abs(ratios - 1).max() < 4.5 * np.sqrt(2 / (2 * INPUTS))
    assert np.abs(weights.mean((1, 2))).max() < 4.5 * PRIOR * 1.5 / np.sqrt(2 * INPUTS)


def test_the_exact_bias_of_a_long_step_is_large_and_of_a_short_one_small() -> None:
    """So the test above would notice a sampler without it: SGLD has the variance s^2 / (1 - e / (2 s^2))."""
    variances = {
        rate: exact_variances(bb.posterior("sgld", draws=10, learning_rate=rate, warmup=200, thin=30))[-1] / PRIOR**2
        for rate in (1.0, 15.0)
    }
    for rate, variance in variances.items():
        assert variance == pytest.approx(1 / (1 - rate / POINTS / (2 * PRIOR**2)), rel=1e-3)
    assert variances[15.0] > 1.35
    assert variances[1.0] < 1.02


def quadrature(data: bb.Data, prior: float, points: int = 401) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of both differences of weights of a logistic regression, on a grid."""
    x, y = data.train[0].double().numpy(), data.train[1].numpy()
    axis = np.linspace(-6 * prior * np.sqrt(2), 6 * prior * np.sqrt(2), points)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    logits = grid @ x.T
    log_density = -np.logaddexp(0, np.where(y == 1, -logits, logits)).sum(1) - (grid**2).sum(1) / (4 * prior**2)
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = weights @ grid
    return mean, np.sqrt(weights @ (grid - mean) ** 2)


def deviations(name: str, assumed: float = PRIOR, **settings: Any) -> float:
    """The largest deviation of means and standard deviations from quadrature, in tolerances: 4.5 standard errors at the
    smallest ESS, and 3% of the standard deviation for the bias of the steps."""
    data = problem(2)
    posterior = bb.posterior(name, draws=2000, chains=2, warmup=2000, prior_scale=PRIOR, **settings)
    weight = posterior.fit(NoBias(2), data, seed=3).arrays["weight"].astype(float)
    found = weight[:, :, 1] - weight[:, :, 0]
    _, ess = mixing(np.concatenate([found, found**2], -1))
    assert ess is not None
    assert ess > 300
    mean, deviation = quadrature(data, assumed)
    error_of_mean = np.abs(found.mean((0, 1)) - mean) / (deviation * (4.5 / np.sqrt(ess) + 0.03))
    error_of_deviation = np.abs(found.std((0, 1)) - deviation) / (deviation * (4.5 / np.sqrt(2 * ess) + 0.03))
    return float(max(error_of_mean.max(), error_of_deviation.max()))


SHORT: dict[str, dict[str, Any]] = {
    "sgld": {"learning_rate": 0.05, "thin": 100},
    "sghmc": {"learning_rate": 0.005, "thin": 100},
}
"""Steps whose bias is small."""


@pytest.mark.parametrize("batch", [POINTS, 4])
@pytest.mark.parametrize("name", SHORT)
def test_logistic_regression_agrees_with_quadrature(name: str, batch: int) -> None:
    assert deviations(name, batch_size=batch, **SHORT[name]) < 1


@pytest.mark.parametrize("name", SHORT)
def test_a_prior_that_is_wrong_by_a_root_of_two_would_be_noticed(name: str) -> None:
    assert deviations(name, PRIOR * np.sqrt(2), batch_size=4, **SHORT[name]) > 1.2
