"""SWAG: its moments against numpy, its draws against the formula of their covariance, its mean against an optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.swag import Swag
from bnnbench_plugins.torch.swag_moments import SwagMoments
from torch import nn
from torch.nn.functional import cross_entropy

import bnnbench as bb


def collected(rank: int, iterates: np.ndarray) -> SwagMoments:
    moments = SwagMoments(rank)
    for weights in iterates:
        moments.collect(torch.from_numpy(weights))
    return moments


def formula(iterates: np.ndarray, rank: int, scale: float = 1.0) -> np.ndarray:
    """The covariance of Maddox et al. (2019), written down directly from the iterates (T, D)."""
    running = np.cumsum(iterates, axis=0) / np.arange(1, len(iterates) + 1)[:, None]
    diagonal = (iterates**2).mean(0) - iterates.mean(0) ** 2
    deviations = (iterates - running)[len(iterates) - min(rank, len(iterates)) :]
    if len(deviations) < 2:
        return scale * np.diag(diagonal)
    return scale * (np.diag(diagonal) / 2 + deviations.T @ deviations / (2 * (len(deviations) - 1)))


@pytest.mark.parametrize("rank", [0, 1, 3, 9])
def test_the_moments_are_those_of_numpy(rank: int) -> None:
    iterates = np.random.default_rng(0).standard_normal((6, 4)) + np.array([0, 1, -2, 1000])
    moments = collected(rank, iterates)
    running = np.cumsum(iterates, axis=0) / np.arange(1, 7)[:, None]
    np.testing.assert_allclose(moments.mean.numpy(), iterates.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.diagonal.numpy(), iterates.var(0), rtol=1e-9)
    np.testing.assert_allclose(
        moments.deviations.numpy(), (iterates - running)[6 - min(rank, 6) :].reshape(-1, 4), atol=1e-12
    )


@pytest.mark.parametrize(("rank", "scale"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.5), (9, 1.0)])
def test_draws_have_the_mean_and_the_covariance_of_the_formula(rank: int, scale: float) -> None:
    rng = np.random.default_rng(1)
    iterates = rng.standard_normal((6, 4)) @ rng.standard_normal((4, 4)) + 3
    drawn = collected(rank, iterates).draw(200_000, scale, torch.Generator().manual_seed(0)).double().numpy()
    expected = formula(iterates, rank, scale)
    spread = np.sqrt(np.diag(expected))
    # Five standard errors; that of a covariance is at most sqrt(2) of the product of the two standard deviations.
    assert (np.abs(drawn.mean(0) - iterates.mean(0)) < 5 * spread / 200_000**0.5).all()
    assert (np.abs(np.cov(drawn.T) - expected) < 5 * np.outer(spread, spread) * (2 / 200_000) ** 0.5).all()


def test_a_scale_of_zero_gives_the_averaged_weights() -> None:
    iterates = np.random.default_rng(1).standard_normal((5, 3))
    drawn = collected(3, iterates).draw(2, 0.0, torch.Generator())
    np.testing.assert_allclose(drawn.numpy(), np.tile(iterates.mean(0), (2, 1)), rtol=1e-6)


def three_classes(size: int = 60) -> bb.Data:
    """Points in the plane whose classes overlap, so that logistic regression has a finite optimum."""
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=size)
    x = 0.3 * rng.standard_normal((size, 2)) + np.array([[0.2, 0.2], [0.5, 0.8], [0.8, 0.3]])[y]
    return bb.Data(train=(x, y), test=(x[:1], y[:1]), bounds=(-3, 3), classes=3)


@pytest.mark.integration
def test_the_mean_of_logistic_regression_is_the_mode_of_the_posterior() -> None:
    data = three_classes()
    x, y = data.train[0].double(), data.train[1]
    weight, bias = (torch.zeros(*shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 2), (3,)))
    solver = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_change=1e-14)

    def negative_log_posterior() -> torch.Tensor:
        solver.zero_grad()
        squares = weight.square().sum() + bias.square().sum()
        value = cross_entropy(x @ weight.T + bias, y, reduction="sum") + squares / (2 * 1.5**2)
        value.backward()
        return value

    solver.step(negative_log_posterior)
    posterior = Swag(
        epochs=100, learning_rate=0.1, batch_size=20, collect_epochs=200, swag_learning_rate=0.1, prior_scale=1.5,
        scale=0.0, draws=1,
    )  # fmt: skip
    draws = posterior.fit(nn.Linear(2, 3), data, seed=0)
    assert draws.diagnostics["collected"] == 200
    np.testing.assert_allclose(draws.arrays["weight"][0, 0], weight.detach().numpy(), atol=0.1)
    np.testing.assert_allclose(draws.arrays["bias"][0, 0], bias.detach().numpy(), atol=0.1)


def test_the_weights_that_are_collected_are_those_after_each_epoch_of_plain_sgd() -> None:
    """From one pretraining step of no length, two steps of gradient descent are followed by hand."""
    data, network = three_classes(), nn.Linear(2, 3)
    posterior = Swag(
        epochs=1, learning_rate=1e-12, collect_epochs=2, swag_learning_rate=0.5, momentum=0.0, batch_size=60, scale=0.0,
        draws=1,
    )  # fmt: skip
    found = posterior.fit(network, data, seed=9).arrays["weight"][0, 0]
    model, iterates = bb.initialise(network, seed=9), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, weight_decay=1 / 60)
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(model(data.train[0]), data.train[1]).backward()
        optimizer.step()
        iterates.append(model.weight.detach().clone().numpy())
    np.testing.assert_allclose(found, np.mean(iterates, axis=0), atol=1e-6)


def normalised_network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).eval()


def test_each_draw_has_its_own_statistics_of_batch_norm() -> None:
    data = three_classes()
    draws = Swag(epochs=2, collect_epochs=3, draws=4).fit(normalised_network(), data, seed=0)
    x, arrays = data.train[0], draws.flat()
    for index in range(4):
        entering = x.numpy() @ arrays["0.weight"][index].T + arrays["0.bias"][index]
        np.testing.assert_allclose(arrays["1.running_mean"][index], entering.mean(0), atol=1e-5)
    shared = Swag(epochs=2, collect_epochs=3, draws=4, batch_norm="frozen").fit(normalised_network(), data, seed=0)
    assert "1.running_mean" in shared.shared
    assert Swag().identity() != Swag(batch_norm="frozen").identity()


def test_progress_counts_both_phases() -> None:
    calls: list[tuple[int, int]] = []
    posterior = Swag(epochs=2, collect_epochs=3, batch_size=20)
    posterior.fit(
        nn.Linear(2, 3), three_classes(), seed=0, progress=lambda done, total, note="": calls.append((done, total))
    )
    assert calls == [(done, 15) for done in range(1, 16)]
