"""Training by gradient descent, and the behaviour that it shares with variational training."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.bayes_by_backprop import BayesByBackprop
from bnnbench_plugins.torch.minibatch import one_cycle
from bnnbench_plugins.torch.sgd import Sgd
from torch import nn
from torch.nn.functional import cross_entropy

import bnnbench as bb

BOTH = pytest.mark.parametrize("posterior", [Sgd(epochs=2, batch_size=8), BayesByBackprop(epochs=2, batch_size=8)])


def three_classes(size: int = 60) -> bb.Data:
    """Points in the plane whose classes overlap, so that logistic regression has a finite optimum."""
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=size)
    x = 0.3 * rng.standard_normal((size, 2)) + np.array([[0.2, 0.2], [0.5, 0.8], [0.8, 0.3]])[y]
    return bb.Data(train=(x, y), test=(x[:1], y[:1]), bounds=(-3, 3), classes=3)


def normalised_network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).eval()


def penalised_optimum(data: bb.Data, weight_decay: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (3, 2) and bias (3,) of the least penalised cross-entropy, by a second-order method in float64."""
    x, y = data.train[0].double(), data.train[1]
    weight, bias = torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    solver = torch.optim.LBFGS([weight.requires_grad_(), bias.requires_grad_()], max_iter=500, tolerance_change=1e-14)

    def loss() -> torch.Tensor:
        solver.zero_grad()
        penalty = weight_decay / 2 * (weight.square().sum() + bias.square().sum())
        value = cross_entropy(x @ weight.T + bias, y) + penalty
        value.backward()
        return value

    solver.step(loss)
    return weight.detach(), bias.detach()


@pytest.mark.integration
@pytest.mark.parametrize(
    "posterior",
    [
        Sgd(epochs=400, batch_size=60, learning_rate=0.1, weight_decay=0.02),
        Sgd(epochs=400, batch_size=7, learning_rate=0.03, weight_decay=0.02),
        Sgd(epochs=400, batch_size=60, learning_rate=0.5, weight_decay=0.02, optimizer="sgd"),
        Sgd(epochs=400, batch_size=60, learning_rate=0.5, weight_decay=0.02, optimizer="sgd", schedule="constant"),
    ],
    ids=["adam", "adam-small-batches", "momentum", "momentum-constant-rate"],
)
def test_it_reaches_the_optimum_of_penalised_logistic_regression(posterior: Sgd) -> None:
    data = three_classes()
    draws = posterior.fit(nn.Linear(2, 3), data, seed=1)
    weight, bias = penalised_optimum(data, posterior.weight_decay)
    # Small batches with a ragged last one stop at a distance that shrinks with the learning rate.
    tolerance = 0.02 if posterior.batch_size < 60 else 1e-3
    assert np.abs(draws.arrays["weight"][0, 0] - weight.numpy()).max() < tolerance
    assert np.abs(draws.arrays["bias"][0, 0] - bias.numpy()).max() < tolerance


def test_one_step_of_plain_gradient_descent_is_the_textbook_one() -> None:
    data, network = three_classes(), nn.Linear(2, 3)
    posterior = Sgd(epochs=1, batch_size=60, learning_rate=0.25, optimizer="sgd", schedule="constant", momentum=0.0)
    begin = bb.initialise(network, seed=9)
    cross_entropy(begin(data.train[0]), data.train[1]).backward()
    expected = begin.weight.detach() - 0.25 * begin.weight.grad
    found = posterior.fit(network, data, seed=9).arrays["weight"][0, 0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_the_loss_reported_is_that_of_the_last_epoch() -> None:
    data, network = three_classes(), nn.Linear(2, 3)
    with torch.no_grad():
        begin = cross_entropy(bb.initialise(network, seed=9)(data.train[0]), data.train[1])
    draws = Sgd(epochs=1, batch_size=7, learning_rate=1e-12).fit(network, data, seed=9)
    assert draws.diagnostics["loss"] == pytest.approx(begin.item(), abs=1e-5)
    assert draws.diagnostics["seconds"] > 0


def test_one_cycle_rises_from_zero_and_falls_to_zero() -> None:
    assert [one_cycle(done) for done in (0, 0.15, 0.3, 0.65, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_a_training_of_one_step_moves_the_weights() -> None:
    data, network = three_classes(), nn.Linear(2, 3)
    draws = Sgd(epochs=1, batch_size=100).fit(network, data, seed=0)
    assert not np.array_equal(draws.arrays["weight"][0, 0], bb.initialise(network, 0).weight.detach().numpy())


def test_sgd_is_one_draw() -> None:
    assert len(Sgd(epochs=1).fit(nn.Linear(2, 3), three_classes(), seed=0)) == 1
    with pytest.raises(bb.ParameterError, match="less than or equal to 1"):
        Sgd(draws=2)


def test_a_diverging_training_says_so() -> None:
    posterior = Sgd(epochs=50, learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        posterior.fit(nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3)), three_classes(), seed=0)


@BOTH
def test_draws_have_the_names_shapes_and_precision_of_the_network(posterior: bb.Posterior) -> None:
    network = normalised_network()
    draws = posterior.fit(network, three_classes(), seed=0)
    expected = {name: (1, posterior.draws, *weight.shape) for name, weight in network.named_parameters()}
    assert {name: array.shape for name, array in draws.arrays.items()} == expected
    assert {array.dtype for array in draws.arrays.values()} == {np.dtype(np.float32)}
    assert draws.shared.keys() == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


@BOTH
def test_the_seed_decides_and_the_template_does_not(posterior: bb.Posterior) -> None:
    data, network = three_classes(), normalised_network()
    other = normalised_network().train()
    first, again, third = (posterior.fit(net, data, seed=s) for net, s in ((network, 4), (other, 4), (network, 5)))
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
    for name, buffer in first.shared.items():
        np.testing.assert_array_equal(buffer, again.shared[name])
    assert not np.array_equal(first.arrays["0.weight"], third.arrays["0.weight"])


@BOTH
def test_template_and_global_randomness_stay_untouched(posterior: bb.Posterior) -> None:
    network = normalised_network().requires_grad_(False).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    posterior.fit(network, three_classes(), seed=0)
    after = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(states[0], after[0])
    assert states[1:] == after[1:]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(weight.grad is None and not weight.requires_grad for weight in network.parameters())


@BOTH
def test_progress_counts_every_step(posterior: bb.Posterior) -> None:
    calls: list[tuple[int, int]] = []
    posterior.fit(
        nn.Linear(2, 3), three_classes(), seed=0, progress=lambda done, total, note="": calls.append((done, total))
    )
    assert calls == [(done, 16) for done in range(1, 17)]


@BOTH
def test_a_network_without_parameters_is_incompatible(posterior: bb.Posterior) -> None:
    with pytest.raises(bb.Incompatible, match="no parameters"):
        posterior.fit(nn.Flatten(), three_classes(), seed=0)


@BOTH
def test_the_test_sample_has_no_influence(posterior: bb.Posterior) -> None:
    data = three_classes()
    other = bb.Data(train=data.train, test=(-data.train[0], data.train[1]), bounds=data.bounds, classes=3)
    first, second = (posterior.fit(nn.Linear(2, 3), each, seed=0) for each in (data, other))
    np.testing.assert_array_equal(first.arrays["weight"], second.arrays["weight"])


@BOTH
def test_the_posterior_fits_through_the_public_face(posterior: bb.Posterior) -> None:
    data = three_classes()
    predictive = bb.fit(posterior, normalised_network(), data, seed=0, device="cpu")
    total = predictive.log_probs(data.train[0]).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
