"""Adversarial training against the exact adversarial optimum of a linear model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.adversarial_sgd import AdversarialSgd
from bnnbench_plugins.torch.sgd import Sgd
from scipy.optimize import minimize
from torch import nn

import bnnbench as bb

DECAY = 0.05
"""The weight decay of the linear models: with it the optimum is unique and smooth enough."""


def two_classes(bounds: tuple[float, float] = (-9.0, 9.0)) -> bb.Data:
    """Points in the plane in two classes that overlap, far from the ends of the box."""
    rng = np.random.default_rng(2)
    y = rng.integers(2, size=80)
    x = rng.standard_normal((80, 2)) * 0.7 + np.array([[-0.9, -0.3], [0.9, 0.3]])[y]
    return bb.Data(train=(x, y), test=(x[:40], y[:40]), bounds=bounds, classes=2)


def dual_length(w: np.ndarray, norm: str) -> float:
    return float(np.linalg.norm(w, {"linf": 1, "l2": 2, "l1": np.inf}[norm]))


def exact_optimum(data: bb.Data, epsilon: float, norm: str) -> np.ndarray:
    """The difference (w, b) of the two logits whose largest loss in the balls is least on average.

    The largest loss of a point is log(1 + exp(-(s (w.x + b) - epsilon |w|*))), with the sign s of its class and the
    dual norm. The logits are (-f / 2, f / 2) at the optimum: the penalty of both is half that of one.
    """
    x, y = (array.double().numpy() for array in data.train)
    sign = 2 * y - 1

    def objective(f: np.ndarray) -> float:
        margin = sign * (x @ f[:2] + f[2]) - epsilon * dual_length(f[:2], norm)
        return float(np.logaddexp(0, -margin).mean() + DECAY / 4 * (f @ f))

    return minimize(objective, np.ones(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12}).x


@pytest.mark.integration
@pytest.mark.parametrize(("epsilon", "norm"), [(0.3, "linf"), (0.6, "linf"), (0.5, "l2"), (0.5, "l1"), (0.0, "linf")])
def test_a_linear_model_reaches_the_exact_robust_optimum(epsilon: float, norm: str) -> None:
    data = two_classes()
    # In the l2 ball, steps of constant length from a random start leave part of its distance from the maximum.
    posterior = AdversarialSgd(
        epsilon=epsilon,
        norm=norm,
        random_start=norm == "linf",
        epochs=600,
        batch_size=80,
        learning_rate=0.05,
        weight_decay=DECAY,
    )
    draws = posterior.fit(nn.Linear(2, 2), data, seed=1)
    (low, high), (b_low, b_high) = draws.arrays["weight"][0, 0], draws.arrays["bias"][0, 0]
    found, exact = np.array([*(high - low), b_high - b_low]), exact_optimum(data, epsilon, norm)
    np.testing.assert_allclose(found, exact, atol=4e-3)
    if epsilon:
        plain = exact_optimum(data, 0.0, norm)
        assert np.abs(exact - plain).max() > 0.1


def test_the_loss_is_that_at_the_exact_maximum() -> None:
    """Before any training the loss is that of x - epsilon s sign(w), which the constant steps reach exactly."""
    data, network = two_classes(), nn.Linear(2, 2)
    draws = AdversarialSgd(epsilon=0.3, epochs=1, batch_size=80, learning_rate=1e-12).fit(network, data, seed=4)
    begin = bb.initialise(network, 4)
    difference = (begin.weight[1] - begin.weight[0]).detach()
    sign = 2.0 * data.train[1] - 1
    attacked = data.train[0] - 0.3 * sign[:, None] * difference.sign()
    with torch.no_grad():
        expected = nn.functional.cross_entropy(begin(attacked), data.train[1]).item()
    assert draws.diagnostics["loss"] == pytest.approx(expected, abs=1e-5)


class Spy(nn.Module):
    """A layer that keeps the inputs, and the mode, of each call."""

    seen: ClassVar[list[tuple[bool, torch.Tensor]]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((self.training, x.detach().clone()))
        return x


@pytest.mark.parametrize("random_start", [True, False])
def test_inputs_stay_in_ball_and_box_and_only_the_last_are_trained_on(random_start: bool) -> None:
    data = two_classes(bounds=(-3.0, 3.0))
    data = bb.Data(train=(data.train[0].clamp(-3, 3), data.train[1]), test=data.test, bounds=(-3, 3), classes=2)
    Spy.seen.clear()
    network = nn.Sequential(Spy(), nn.Linear(2, 2), nn.BatchNorm1d(2))
    posterior = AdversarialSgd(epsilon=0.7, steps=3, epochs=2, batch_size=40, random_start=random_start)
    draws = posterior.fit(network, data, seed=0)
    calls = [(training, x) for training, x in Spy.seen if len(x) == 40]
    assert [training for training, _ in calls] == [False, False, False, True] * 4
    assert draws.shared["2.num_batches_tracked"] == 4
    for number in range(0, 16, 4):
        clean = data.train[0]
        _, *iterates = (x for _, x in calls[number : number + 4])
        for points in iterates:
            assert points.abs().max() <= 3
            # The nearest training point is at most the radius away.
            distance = (points[:, None] - clean[None]).abs().amax(-1).amin(1)
            assert distance.max() <= 0.7 + 1e-5
    starts = calls[0][1]
    known = (starts[:, None] == data.train[0][None]).all(-1).any(1)
    assert known.all() != random_start


def test_without_a_radius_it_is_sgd() -> None:
    data, network = two_classes(), nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    plain = Sgd(epochs=3, batch_size=16, learning_rate=0.01).fit(network, data, seed=3)
    adversarial = AdversarialSgd(epsilon=0.0, epochs=3, batch_size=16, learning_rate=0.01).fit(network, data, seed=3)
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(array, adversarial.arrays[name])


@pytest.mark.integration
def test_it_is_far_more_robust_than_sgd_on_digits() -> None:
    data = bb.dataset("digits").load(0)
    network = bb.network("fc", hidden=[32, 32]).build(data)
    robust = {}
    for posterior in (Sgd(epochs=50), AdversarialSgd()):
        predictive = bb.fit(posterior, network, data, seed=0, device="cpu")
        outcome = bb.evaluate(predictive, bb.attack("pgd"), data, epsilon=0.1)
        robust[type(posterior)] = outcome.robust_accuracy
    assert robust[AdversarialSgd] > robust[Sgd] + 0.2
