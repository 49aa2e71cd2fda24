"""Functions drawn from the posterior of a regression, against exact means and covariances."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from bnnbench_plugins.gp import evidence
from bnnbench_plugins.gp.dirichlet import Targets, dirichlet_targets
from bnnbench_plugins.gp.dual_activations import Rectified
from bnnbench_plugins.gp.evidence import FURTHEST, left_out, left_out_loss, log_evidence, with_most_evidence
from bnnbench_plugins.gp.gaussian_process import RadialBasisProcess
from bnnbench_plugins.gp.kernels import Kernel, RadialBasis
from bnnbench_plugins.gp.regression import Regression
from bnnbench_plugins.gp.wide_networks import WideNetwork
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from torch import Tensor, nn

import bnnbench as bb

DRAWS = 6000


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


KERNELS = {
    "radial-basis": RadialBasis(tensor(0.6), tensor(1.7), features=8),
    "ard": RadialBasis(tensor(0.4, 1.5), tensor(1.7), features=8),
    # With one hidden layer, the covariance of finite networks is that of the limit.
    "wide-network": WideNetwork(1, Rectified(), 1.4, 0.3, tensor(2.0), width=8),
}


@functools.cache
def regression_data() -> tuple[Tensor, Targets, Tensor]:
    """Ten training inputs in the plane with two targets of differing noises, and three test inputs."""
    rng = np.random.default_rng(0)
    x, at = rng.random((10, 2)), np.array([[0.5, 0.5], [0.1, 0.9], [2.0, -1.0]])
    values, noise = rng.standard_normal((10, 2)), rng.uniform(0.05, 1, (10, 2))
    return torch.from_numpy(x), Targets(torch.from_numpy(values), torch.from_numpy(noise)), torch.from_numpy(at)


def drawn(kernel: Kernel, points: Tensor) -> np.ndarray:
    """The values (DRAWS, 3, 2) of drawn functions at the test inputs."""
    x, targets, at = regression_data()
    draws = Regression.of(kernel, points, x, targets).draws(DRAWS, torch.Generator().manual_seed(1))
    weights = {name: array.double() for name, array in draws.items()}
    return (kernel.prior_values(at, weights) + kernel.matrix(at, points) @ weights["update"]).numpy()


def exact(kernel: Kernel, column: int) -> tuple[np.ndarray, np.ndarray]:
    """The posterior mean (3,) and covariance (3, 3) of one function at the test inputs, by the textbook's formula."""
    x, targets, at = regression_data()
    among, across, there = (kernel.matrix(*pair).numpy() for pair in ((x, x), (at, x), (at, at)))
    gain = across @ np.linalg.inv(among + np.diag(targets.noise[:, column].numpy()))
    return gain @ targets.values[:, column].numpy(), there - gain @ across.T


def assert_moments(values: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means and covariances of drawn values (DRAWS, 3), to five standard errors of the estimates."""
    errors = values - mean
    assert (np.abs(errors.mean(0)) < 5 * np.sqrt(np.diag(covariance) / DRAWS)).all()
    products = errors[:, :, None] * errors[:, None, :]
    assert (np.abs(products.mean(0) - covariance) < 5 * products.std(0) / np.sqrt(DRAWS)).all()


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_the_moments_of_draws_are_those_of_the_posterior(kernel: Kernel) -> None:
    # Eight waves, or networks of eight units, are enough: the covariance over functions does not depend on them.
    values = drawn(kernel, regression_data()[0])
    for column in range(2):
        assert_moments(values[:, :, column], *exact(kernel, column))


def test_the_exact_formula_agrees_with_scikit_learn() -> None:
    x, targets, at = regression_data()
    for column in range(2):
        fitted = GaussianProcessRegressor(
            ConstantKernel(1.7**2) * RBF(0.6), alpha=targets.noise[:, column].numpy(), optimizer=None
        ).fit(x.numpy(), targets.values[:, column].numpy())
        for found, expected in zip(
            exact(KERNELS["radial-basis"], column), fitted.predict(at.numpy(), return_cov=True), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-9)


def test_draws_by_inducing_points_have_the_moments_of_the_collapsed_bound() -> None:
    # Titsias (2009), Equation 10, without whitening: S = K_mm + K_mn N^-1 K_nm.
    kernel = KERNELS["radial-basis"]
    x, targets, at = regression_data()
    points = x[:4]
    values = drawn(kernel, points)
    among, across, data = (kernel.matrix(*pair).numpy() for pair in ((points, points), (at, points), (points, x)))
    for column in range(2):
        inverse_noise = 1 / targets.noise[:, column].numpy()
        inner = np.linalg.inv(among + (data * inverse_noise) @ data.T)
        mean = across @ inner @ (data * inverse_noise) @ targets.values[:, column].numpy()
        covariance = kernel.matrix(at, at).numpy() - across @ (np.linalg.inv(among) - inner) @ across.T
        assert_moments(values[:, :, column], mean, covariance)


def test_draws_are_independent_and_so_are_the_functions_of_the_classes() -> None:
    values = drawn(KERNELS["radial-basis"], regression_data()[0])[:, 0]
    centred = (values - values.mean(0)) / values.std(0)
    assert abs((centred[:, 0] * centred[:, 1]).mean()) < 5 / np.sqrt(DRAWS)
    assert (np.abs((centred[1:] * centred[:-1]).mean(0)) < 5 / np.sqrt(DRAWS)).all()


def test_the_evidence_is_the_density_of_the_targets() -> None:
    x, targets, _ = regression_data()

    def by_scipy(kernel: Kernel) -> float:
        return sum(
            stats.multivariate_normal(cov=kernel.matrix(x, x).numpy() + np.diag(noise)).logpdf(values)
            for values, noise in zip(targets.values.T.numpy(), targets.noise.T.numpy(), strict=True)
        )

    one, other = KERNELS["radial-basis"], KERNELS["wide-network"]
    difference = log_evidence(one.matrix(x, x), targets)[0] - log_evidence(other.matrix(x, x), targets)[0]
    assert difference == pytest.approx(by_scipy(one) - by_scipy(other), abs=1e-9)


def test_hyperparameters_have_the_largest_evidence() -> None:
    x = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None]
    noise = torch.full((40, 1), 0.01, dtype=torch.float64)
    values = (9 * x).sin() + 0.1 * torch.from_numpy(np.random.default_rng(0).standard_normal((40, 1)))
    found, end = with_most_evidence(
        lambda given: RadialBasis(given[:1], given[1:], 1), [0.3, 0.5], x, Targets(values, noise)
    )
    fitted = GaussianProcessRegressor(ConstantKernel(0.25) * RBF(0.3), alpha=0.01).fit(x.numpy(), values[:, 0].numpy())
    assert end == "maximum"
    expected = [fitted.kernel_.k2.length_scale, np.sqrt(fitted.kernel_.k1.constant_value)]
    assert found == pytest.approx(expected, rel=1e-2)


def test_evidence_without_a_maximum_is_told() -> None:
    # Targets of zero are the more probable the smaller the scale is.
    x = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    nothing = Targets(torch.zeros(5, 1, dtype=torch.float64), torch.ones(5, 1, dtype=torch.float64))
    found, end = with_most_evidence(lambda scale: RadialBasis(tensor(1.0), scale, 1), [1.0], x, nothing)
    assert end == "edge"
    assert found[0] == pytest.approx(1 / FURTHEST)


def test_a_search_that_ended_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_ITERATIONS", 1)
    x, y = torch.linspace(0, 1, 20)[:, None], torch.arange(20) % 2
    data = bb.Data(train=(x, y), test=(x, y))
    found = RadialBasisProcess(draws=2, concentration=0.1).fit(nn.Linear(1, 2), data, seed=0).diagnostics
    assert found["unfinished"] == "the search for the largest evidence of lengthscale and scale ended early"


def test_the_targets_have_the_moments_of_gamma_variables() -> None:
    targets = dirichlet_targets(torch.tensor([0, 2]), 3, 0.1)
    # exp of a normal variable with these parameters has the mean and the variance of Gamma(c, 1), which are both c.
    shift = np.log(1.1) - np.log1p(1 / 1.1) / 2 - targets.values[0, 0].item()
    for value, noise, concentration in (
        (targets.values[0, 0], targets.noise[0, 0], 1.1),
        (targets.values[1, 0], targets.noise[1, 0], 0.1),
    ):
        mean = (value + shift + noise / 2).exp().item()
        assert mean == pytest.approx(concentration)
        assert mean**2 * noise.expm1().item() == pytest.approx(concentration)
    np.testing.assert_allclose(targets.values.sum(1), 0, atol=1e-12)


def test_a_point_that_is_left_out_is_predicted_from_the_others() -> None:
    x, targets, _ = regression_data()
    matrix = KERNELS["radial-basis"].matrix(x, x)
    means, variances = left_out(matrix, targets)
    for point in range(10):
        others = [other for other in range(10) if other != point]
        for column in range(2):
            noisy = matrix[others][:, others] + torch.diag(targets.noise[others, column])
            gain = matrix[point, others] @ noisy.inverse()
            assert means[point, column].item() == pytest.approx((gain @ targets.values[others, column]).item())
            left = matrix[point, point] - gain @ matrix[others, point]
            assert variances[point, column].item() == pytest.approx(left.item())


def test_the_loss_of_points_left_out_is_that_of_the_mean_probability() -> None:
    # Without covariance nothing is learnt of other points: every class has probability 1/2.
    targets = Targets(torch.ones(4, 2, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64))
    labels, noise = torch.tensor([0, 1, 1, 0]), torch.Generator().manual_seed(0)
    nothing = torch.zeros(4, 4, dtype=torch.float64)
    assert left_out_loss(nothing, targets, labels, noise) == pytest.approx(np.log(2))
