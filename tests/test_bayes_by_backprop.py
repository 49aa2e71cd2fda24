"""Variational inference against optima known from quadrature, closed forms, and the exactness of both routes."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.bayes_by_backprop import BayesByBackprop
from bnnbench_plugins.torch.linear_layers import linear_layers_used_once
from bnnbench_plugins.torch.mean_field import MeanField
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, logsigmoid

import bnnbench as bb

PRIOR_SCALE = 1.5


class PlainLinear(nn.Linear):
    """The same layer under another class: its outputs must not be sampled, since a subclass may compute anything."""


# The optimum of Bayesian logistic regression


@functools.cache
def two_classes(dimensions: int, size: int = 24) -> bb.Data:
    rng = np.random.default_rng(dimensions)
    x = rng.uniform(-2, 2, size=(size, dimensions))
    y = (rng.random(size) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, -1] * (dimensions > 1) + 0.5)))).astype(np.int64)
    return bb.Data(train=(x, y), test=(x[:1], y[:1]), bounds=(-2, 2), classes=2)


@functools.cache
def exact_optimum(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales of the best mean-field normal, rows (weights, bias) of both classes: (2, dimensions + 1).

    The difference of the two logits is normal under q, so each point's expected log-likelihood is an integral over
    one variable, taken by Gauss-Hermite quadrature; the rest of the bound is closed.
    """
    x, y = two_classes(dimensions).train
    inputs = torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    sign = 2.0 * y - 1
    nodes, node_weights = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(60))
    node_weights = node_weights / node_weights.sum()

    def negative_bound(flat: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(flat).requires_grad_()
        means, log_scales = leaf.reshape(2, 2, dimensions + 1)
        mean = sign * (inputs @ (means[1] - means[0]))
        deviation = (inputs.square() @ (2 * log_scales).exp().sum(0)).sqrt()
        log_likelihood = (logsigmoid(mean[:, None] + deviation[:, None] * nodes) * node_weights).sum()
        q, prior = torch.distributions.Normal(means, log_scales.exp()), torch.distributions.Normal(0.0, PRIOR_SCALE)
        loss = torch.distributions.kl_divergence(q, prior).sum() - log_likelihood
        (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.item(), gradient.numpy()

    found = minimize(negative_bound, np.zeros(4 * (dimensions + 1)), jac=True, method="BFGS", options={"gtol": 1e-8})
    means, log_scales = found.x.reshape(2, 2, dimensions + 1)
    return means, np.exp(log_scales)


@pytest.mark.parametrize("layer", [nn.Linear, PlainLinear], ids=["local", "sampled"])
@pytest.mark.parametrize("batch_size", [24, 5], ids=["all", "five"])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_it_reaches_the_exact_mean_field_optimum(dimensions: int, batch_size: int, layer: type[nn.Linear]) -> None:
    posterior = BayesByBackprop(
        epochs=2500 * batch_size // 24, batch_size=batch_size, learning_rate=0.05, initial_scale=0.3,
        prior_scale=PRIOR_SCALE, draws=100_000,
    )  # fmt: skip
    draws = posterior.fit(layer(dimensions, 2), two_classes(dimensions), seed=3)
    found = np.concatenate([draws.arrays["weight"][0], draws.arrays["bias"][0][..., None]], axis=-1)
    means, scales = exact_optimum(dimensions)
    print(np.abs(found.mean(0) - means).max(), np.abs(found.std(0) / scales - 1).max())
