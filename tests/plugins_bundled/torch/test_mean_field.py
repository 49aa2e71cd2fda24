"""The mean-field family: its divergence, and layers sampled by outputs or by weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.bayes_by_backprop import BayesByBackprop
from bnnbench_plugins.torch.linear_layers import convolutions_used_once, linear_layers_used_once
from bnnbench_plugins.torch.mean_field import MeanField
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

import bnnbench as bb


class PlainLinear(nn.Linear):
    """The same layer under another class: its outputs must not be sampled, since a subclass may compute anything."""


# The distribution over the weights


def mean_field(network: nn.Module, x: Tensor, scale: float = 0.5, seed: int = 0) -> MeanField:
    return MeanField(bb.initialise(network, 0).eval(), x, scale, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("scale", "prior_scale"), [(0.5, 0.5), (0.01, 1.0), (2.0, 0.3)])
def test_the_divergence_is_that_of_independent_normals(scale: float, prior_scale: float) -> None:
    q = mean_field(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), torch.zeros(2, 3), scale)
    with torch.no_grad():
        q.log_scales["0.weight"][1] += 0.7
    expected = sum(
        torch.distributions.kl_divergence(
            torch.distributions.Normal(mean, q.log_scales[name].exp()), torch.distributions.Normal(0.0, prior_scale)
        ).sum()
        for name, mean in q.means.items()
    )
    torch.testing.assert_close(q.divergence(prior_scale), expected)


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_sampled_locally_have_the_exact_mean_and_variance(bias: bool) -> None:
    point = torch.tensor([0.5, -2.0, 0.0])
    q = mean_field(nn.Linear(3, 2, bias=bias), point[None], scale=0.3)
    with torch.no_grad():
        q.log_scales["weight"][1, 1] = 0.5
        outputs = q.logits(point.expand(40_000, 3))
        mean = linear(point, *q.means.values())
        variance = linear(point.square(), *[(2 * log_scale).exp() for log_scale in q.log_scales.values()])
    # Five standard errors: a false alarm in 10^6 for each of the four figures.
    assert ((outputs.mean(0) - mean).abs() < 5 * variance.sqrt() / 200).all()
    assert ((outputs.var(0) / variance - 1).abs() < 5 * (2 / 40_000) ** 0.5).all()
    assert abs(torch.corrcoef(outputs.T)[0, 1]) < 5 / 200


def test_zero_inputs_without_a_bias_have_finite_gradients() -> None:
    q = mean_field(nn.Linear(3, 2, bias=False), torch.zeros(4, 3))
    q.logits(torch.zeros(4, 3)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in q.parameters())


def estimates(network: nn.Module, x: Tensor, y: Tensor, seed: int, count: int = 1500) -> Tensor:
    """Estimates of the loss and of its gradient in all means and log standard deviations, (count, 1 + gradients)."""
    q = mean_field(network, x, seed=seed)
    rows = []
    for _ in range(count):
        loss = cross_entropy(q.logits(x), y)
        gradients = torch.autograd.grad(loss, q.parameters())
        rows.append(torch.cat([loss.detach()[None], *[gradient.flatten() for gradient in gradients]]))
    return torch.stack(rows).double()


@pytest.mark.integration
def test_both_routes_estimate_the_same_loss_and_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(16, 2, generator=generator), torch.arange(16) % 3

    def network(layer: type[nn.Linear]) -> nn.Module:
        return nn.Sequential(layer(2, 4), nn.Tanh(), layer(4, 3))

    assert len(mean_field(network(nn.Linear), x).local_layers) == 2
    assert not mean_field(network(PlainLinear), x).local_layers
    local, sampled = estimates(network(nn.Linear), x, y, seed=1), estimates(network(PlainLinear), x, y, seed=2)
    difference = (local.mean(0) - sampled.mean(0)) / ((local.var(0) + sampled.var(0)) / len(local)).sqrt()
    # The loss and 54 gradients at five standard errors: a false alarm in 3 * 10^5 seeds.
    assert len(difference) == 55
    assert difference.abs().max() < 5
    assert local.var(0).sum() < 0.5 * sampled.var(0).sum()


# Which layers are sampled locally


class Probe(nn.Module):
    """Two linear layers, used in the way that a function of (self, x) says."""

    def __init__(self, use: Callable[[Probe, Tensor], Tensor]) -> None:
        super().__init__()
        self.use, self.first, self.second = use, nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.use(self, x)


def twice(self: Probe, x: Tensor) -> Tensor:
    return self.second(self.first(self.first(x)))


def on_sequences(self: Probe, x: Tensor) -> Tensor:
    return self.second(self.first(x.reshape(-1, 1, 4).expand(-1, 3, 4)).mean(1))


def on_folded_sequences(self: Probe, x: Tensor) -> Tensor:
    return self.second(self.first(x.repeat(3, 1)).reshape(3, -1, 4).mean(0))


def with_its_weight_again(self: Probe, x: Tensor) -> Tensor:
    return self.second(linear(self.first(x), self.first.weight.T))


def with_its_bias_again(self: Probe, x: Tensor) -> Tensor:
    return self.second(self.first(x) + self.first.bias)


def by_keyword(self: Probe, x: Tensor) -> Tensor:
    return self.second(self.first(input=x))


def as_a_constant(self: Probe, x: Tensor) -> Tensor:
    with torch.no_grad():
        gate = self.first(x)
    return self.second(x * gate)


def by_its_parameters_alone(self: Probe, x: Tensor) -> Tensor:
    return self.second(linear(x, self.first.weight))


@pytest.mark.parametrize(
    "use",
    [
        twice, on_sequences, on_folded_sequences, with_its_weight_again, with_its_bias_again, by_keyword, as_a_constant,
        by_its_parameters_alone,
    ],
)  # fmt: skip
def test_a_layer_whose_outputs_share_weights_is_sampled_by_its_weights(use: Callable[[Probe, Tensor], Tensor]) -> None:
    network = Probe(use)
    assert linear_layers_used_once(network, torch.rand(8, 4)) == [network.second]
    assert not network.first._forward_hooks
    check_it_fits(network, (4,))


def test_layers_used_once_are_sampled_by_their_outputs() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 8, bias=False), nn.ReLU(inplace=True), nn.Linear(8, 2))
    assert linear_layers_used_once(network, torch.rand(8, 2, 2)) == [network[1], network[3]]
    check_it_fits(network, (2, 2))


def test_convolutions_are_flipped_and_normalisations_are_sampled_by_their_weights() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2)).eval()
    assert linear_layers_used_once(network, torch.rand(8, 1, 4, 4)) == [network[3]]
    assert convolutions_used_once(network, torch.rand(8, 1, 4, 4)) == [network[0]]
    check_it_fits(network, (1, 4, 4))


def test_tied_and_reparametrised_layers_are_sampled_by_their_weights() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    tied[1].weight = tied[0].weight
    assert linear_layers_used_once(tied, torch.rand(8, 4)) == [tied[2]]
    check_it_fits(tied, (4,))
    normalised = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    assert linear_layers_used_once(normalised, torch.rand(8, 4)) == [normalised[1]]
    check_it_fits(normalised, (4,))


def check_it_fits(network: nn.Module, shape: tuple[int, ...]) -> None:
    x, y = np.random.default_rng(0).random((20, *shape)), np.arange(20) % 2
    data = bb.Data(train=(x, y), test=(x, y))
    draws = BayesByBackprop(epochs=1, batch_size=8, draws=3).fit(network, data, seed=0)
    assert {name: array.shape[2:] for name, array in draws.arrays.items()} == {
        name: weight.shape for name, weight in network.named_parameters()
    }
    assert bb.Predictive(network, draws).log_probs(data.test[0]).isfinite().all()


@pytest.mark.parametrize(("layer", "shared"), [(PlainLinear, True), (nn.Linear, False)])
def test_only_weights_sampled_whole_are_shared_by_the_minibatch(layer: type[nn.Linear], shared: bool) -> None:
    x = torch.ones(2, 3)
    first, second = mean_field(layer(3, 2), x).logits(x)
    assert torch.equal(first, second) == shared


def test_hooks_of_the_users_own_see_the_sampled_outputs() -> None:
    network = nn.Sequential(nn.Linear(3, 2))
    network[0].register_forward_hook(lambda layer, inputs, output: output.sign())
    x = torch.ones(50, 3)
    assert set(mean_field(network, x).logits(x).unique().tolist()) == {-1.0, 1.0}
