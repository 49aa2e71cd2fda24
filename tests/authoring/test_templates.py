"""What a fit does with the template of a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.authoring import check_gradient
from bnnbench.authoring.chain_record import held_fixed
from bnnbench.errors import NetworkError

X = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
DATA = bb.Data(train=(X, np.arange(20) % 3), test=(X, np.arange(20) % 3), classes=3)


class Net(nn.Module):
    """A linear network with batch norm and dropout, whose output a function changes."""

    def __init__(self, change: Callable[[nn.Module, Tensor], object]) -> None:
        super().__init__()
        self.linear, self.norm, self.drop, self.change = nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), change

    def forward(self, x: Tensor) -> object:
        return self.change(self, self.drop(self.norm(self.linear(x))))


WITHOUT_GRADIENT = {
    "detached": lambda network, out: out.detach(),
    "through numpy": lambda network, out: torch.from_numpy(out.detach().numpy()),
}


@pytest.mark.parametrize("change", WITHOUT_GRADIENT.values(), ids=WITHOUT_GRADIENT)
@pytest.mark.parametrize("posterior", ["sgd", "bayes-by-backprop", "pyro-hmc"])
def test_a_network_without_gradient_is_told_before_it_is_fitted(
    posterior: str, change: Callable[[nn.Module, Tensor], object]
) -> None:
    with pytest.raises(NetworkError, match=r"network .* gives no gradient in its weights, which this fit needs"):
        bb.fit(bb.posterior(posterior), Net(change), DATA)


@pytest.mark.parametrize("posterior", ["sgd", "bayes-by-backprop"])
def test_a_network_that_returns_something_else_in_training_is_told(posterior: str) -> None:
    network = Net(lambda network, out: (out, out) if network.training else out)
    with pytest.raises(NetworkError, match=r"returns a tuple of 2 .*; this is in training mode"):
        bb.fit(bb.posterior(posterior), network, DATA)


def test_a_network_with_two_precisions_is_told() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3).double())
    with pytest.raises(NetworkError, match="must not mix"):
        check_gradient(network, X[:2])


def test_the_trial_leaves_network_and_random_state_as_they_are() -> None:
    network, state = Net(lambda network, out: out).eval(), torch.get_rng_state()
    check_gradient(network, X[:2], training=True)
    assert not network.training
    assert torch.equal(network.state_dict()["norm.running_mean"], torch.zeros(3))
    assert network.linear.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)


def test_pyro_samples_a_network_of_other_floats() -> None:
    predictive = bb.fit(
        bb.posterior("pyro-hmc", draws=2, warmup=1, leapfrog_steps=2), Net(lambda network, out: out.double()), DATA
    )
    assert predictive.dtype == torch.float32


def trained_statistics() -> nn.Sequential:
    """A network whose batch norm has statistics that a training would have given it."""
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    statistics = network.state_dict()
    statistics["1.running_mean"].fill_(3)
    statistics["1.running_var"].fill_(9)
    return network


@pytest.mark.parametrize("sampler", ["pyro-hmc", "numpyro-hmc", "numpyro-nuts"])
def test_samplers_use_the_statistics_of_the_template(sampler: str) -> None:
    steps = {"max_tree_depth": 2} if sampler == "numpyro-nuts" else {"leapfrog_steps": 2}
    posterior = bb.posterior(sampler, draws=2, chains=2, warmup=1, **steps)
    shared = bb.fit(posterior, trained_statistics(), DATA).shared
    assert torch.equal(shared["1.running_mean"], torch.full((5,), 3.0))
    assert torch.equal(shared["1.running_var"], torch.full((5,), 9.0))


def test_the_density_that_is_sampled_has_the_statistics_of_the_template() -> None:
    """Batch norm with mean 3 and variance 16 is a linear layer: both are sampled alike."""
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, eps=0.0, affine=False))
    network.state_dict()["1.running_mean"].fill_(3)
    network.state_dict()["1.running_var"].fill_(16)

    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return (super().forward(x) - 3) / 4

    plain = nn.Sequential(Scaled(4, 3))
    posterior = bb.posterior("pyro-hmc", draws=3, warmup=1, leapfrog_steps=3)
    one, other = (bb.fit(posterior, each, DATA).draws["0.weight"] for each in (network, plain))
    assert torch.allclose(one, other, atol=1e-5)


def test_a_training_starts_without_the_statistics_of_the_template() -> None:
    """It gathers its own, so that the template does not matter."""
    plain = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    one, other = (bb.fit(bb.posterior("sgd", epochs=1), each, DATA) for each in (plain, trained_statistics()))
    assert torch.equal(one.shared["1.running_mean"], other.shared["1.running_mean"])


HELD = "batch norm keeps the statistics that it has at the start"


@pytest.mark.parametrize(
    ("layer", "held"),
    [
        (nn.BatchNorm1d(4), HELD),
        (nn.InstanceNorm1d(4, track_running_stats=True), HELD),
        (nn.BatchNorm1d(4, track_running_stats=False), ""),
        (nn.InstanceNorm1d(4), ""),
        (nn.GroupNorm(2, 4), ""),
        (nn.Dropout(0.1), "dropout is off"),
        (nn.AlphaDropout(0.1), "dropout is off"),
        (nn.Dropout(0.0), ""),
        (nn.MultiheadAttention(4, 2, dropout=0.1), "dropout is off"),
        (nn.MultiheadAttention(4, 2), ""),
        (nn.Sequential(nn.BatchNorm1d(4), nn.Dropout()), f"{HELD}; dropout is off"),
    ],
    ids=str,
)
def test_what_a_sampler_holds_fixed_is_what_acts_in_training(layer: nn.Module, held: str) -> None:
    assert held_fixed(nn.Sequential(layer)) == held


def test_recalibrated_statistics_are_said_to_be_those_of_each_draw() -> None:
    told = held_fixed(nn.BatchNorm1d(4), recalibrate=True)
    assert told == f"{HELD} while it is sampled, then it has those of each draw, recalibrated on the training inputs"
