"""Convolutions under mean-field inference: each point has weights of its own (Flipout, Wen et al. 2018)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.bayes_by_backprop import BayesByBackprop
from bnnbench_plugins.torch.linear_layers import convolutions_used_once
from bnnbench_plugins.torch.mean_field import MeanField
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import bnnbench as bb


def mean_field(network: nn.Module, x: Tensor, scale: float = 0.5, seed: int = 0) -> MeanField:
    return MeanField(bb.initialise(network, 0).eval(), x, scale, torch.Generator().manual_seed(seed))


class PlainConv(nn.Conv2d):
    """The same layer under another class: it is sampled by its weights."""


def convolutional(layer: type[nn.Conv2d], groups: int = 1) -> nn.Module:
    """Two convolutions whose outputs at several positions share weights, and a sum over positions."""
    return nn.Sequential(
        layer(2, 2, 2, padding=1, groups=groups), nn.Tanh(), layer(2, 3, 2, stride=2), nn.AvgPool2d(2), nn.Flatten()
    )


@pytest.mark.integration
@pytest.mark.parametrize("groups", [1, 2])
def test_one_points_logits_have_the_same_distribution_by_either_route(groups: int) -> None:
    """The logits of one point, drawn by both routes, in mean, covariance and fourth moments.

    Outputs that were drawn one by one, as those of linear layers are, would fail: positions share weights, and the mean
    over positions would average independent noise out.
    """
    point = torch.linspace(-1, 2, 32).reshape(1, 2, 4, 4)

    def logits(layer: type[nn.Conv2d]) -> Tensor:
        q = mean_field(convolutional(layer, groups), point, scale=0.4)
        assert len(q.flipped_layers) == (2 if layer is nn.Conv2d else 0)
        with torch.no_grad():
            return torch.cat([q.logits(point) for _ in range(4000)]).double()

    flipped, sampled = logits(nn.Conv2d), logits(PlainConv)
    both = torch.cat([flipped, sampled])
    one, other = ((each - both.mean(0)) / both.std(0) for each in (flipped, sampled))

    def moments(z: Tensor) -> Tensor:
        return torch.cat([z, z**2, z**3, z**4, z.roll(1, 1) * z], dim=1)

    error = ((moments(one).var(0) + moments(other).var(0)) / len(one)).sqrt()
    # Fifteen figures at five standard errors: a false alarm in 10^5 seeds.
    assert ((moments(one).mean(0) - moments(other).mean(0)).abs() < 5 * error).all()


def test_the_deviations_of_two_points_are_uncorrelated_and_those_of_positions_are_not() -> None:
    point = torch.ones(1, 1, 2, 2)
    q = mean_field(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), point)
    with torch.no_grad():
        outputs = torch.stack([q.logits(point.expand(2, 1, 2, 2)) for _ in range(4000)])
    assert abs(torch.corrcoef(outputs[:, :, 0].T)[0, 1]) < 5 / 4000**0.5
    assert torch.equal(outputs[:, :, 0], outputs[:, :, 3])


@pytest.mark.integration
def test_flipped_and_plain_convolutions_estimate_the_same_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 2, 4, 4, generator=generator), torch.arange(32) % 3

    def estimates(layer: type[nn.Conv2d]) -> Tensor:
        q = mean_field(convolutional(layer), x, seed=3)
        rows = []
        for _ in range(800):
            loss = cross_entropy(q.logits(x), y)
            gradients = torch.autograd.grad(loss, q.parameters())
            rows.append(torch.cat([loss.detach()[None], *[gradient.flatten() for gradient in gradients]]))
        return torch.stack(rows).double()

    flipped, sampled = estimates(nn.Conv2d), estimates(PlainConv)
    difference = (flipped.mean(0) - sampled.mean(0)) / ((flipped.var(0) + sampled.var(0)) / len(flipped)).sqrt()
    # The loss and 90 gradients at five standard errors: a false alarm in 10^4 seeds.
    assert len(difference) == 91
    assert difference.abs().max() < 5
    assert flipped.var(0).sum() < 0.5 * sampled.var(0).sum()


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(2, 4, 3, padding="same"), nn.Conv3d(2, 4, 2, stride=2), nn.Conv2d(2, 4, 2, groups=2, bias=False)],
)
def test_convolutions_of_every_kind_are_flipped(layer: nn.Module) -> None:
    shape = (2, *[4] * (layer.weight.ndim - 2))
    network = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2))
    network(torch.zeros(2, *shape))
    assert convolutions_used_once(network, torch.rand(3, *shape)) == [layer]
    x, y = np.random.default_rng(0).random((20, *shape)), np.arange(20) % 2
    draws = BayesByBackprop(epochs=1, batch_size=8, draws=3).fit(network, bb.Data(train=(x, y), test=(x, y)), seed=0)
    assert draws.diagnostics["flipped_layers"] == 1
    assert bb.Predictive(network, draws).log_probs(torch.rand(2, *shape)).isfinite().all()


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_a_convolution_that_pads_with_values_is_sampled_by_its_weights(mode: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode), nn.Flatten())
    assert convolutions_used_once(network, torch.rand(3, 1, 4, 4)) == []


def test_a_convolution_that_is_called_twice_is_sampled_by_its_weights() -> None:
    layer = nn.Conv2d(2, 2, 3, padding=1)
    assert convolutions_used_once(nn.Sequential(layer, layer, nn.Flatten()), torch.rand(3, 2, 4, 4)) == []
