"""Ensembles: each member is the fit that it says it is, and all have equal weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.ensembles.anchored_ensemble import AnchoredEnsemble
from bnnbench_plugins.ensembles.ensembles import BootstrapEnsemble, DeepEnsemble, MultiSwag
from bnnbench_plugins.torch.sgd import Sgd
from torch import nn
from torch.nn.functional import cross_entropy

import bnnbench as bb
from bnnbench.authoring import member_seeds

FAST = Sgd(epochs=2, batch_size=8)


def three_classes(size: int = 60) -> bb.Data:
    """Points in the plane whose classes overlap."""
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=size)
    x = 0.3 * rng.standard_normal((size, 2)) + np.array([[0.2, 0.2], [0.5, 0.8], [0.8, 0.3]])[y]
    return bb.Data(train=(x, y), test=(x[:10], y[:10]), bounds=(-3, 3), classes=3)


def normalised_network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).eval()


class Recorded(bb.Posterior):
    """Two draws: the inputs and the labels of the training data, as weights of a network that has room for them."""

    draws: int = 2

    def fit(self, network: nn.Module, data: bb.Data, *, seed: int, progress: bb.Progress = bb.no_progress) -> bb.Draws:
        x, y = data.train
        return bb.Draws({"x": torch.stack([x, x])[None], "y": torch.stack([y, y])[None]}, diagnostics={"seed": seed})


def test_members_are_fits_with_seeds_of_their_own() -> None:
    data, network = three_classes(), normalised_network()
    ensemble = bb.fit(DeepEnsemble(of=FAST, members=3), network, data, seed=4)
    x = data.test[0]
    alone = [bb.fit(FAST, network, data, seed=member_seeds(4, member)[0]) for member in range(3)]
    # Members of networks with batch norm have their own statistics too.
    for member, one in enumerate(alone):
        assert torch.equal(ensemble.logits(x, [member]), one.logits(x))
    mean = torch.stack([one.log_probs(x).exp() for one in alone]).mean(0)
    assert torch.allclose(ensemble.log_probs(x).exp(), mean, atol=1e-6)
    assert not torch.equal(alone[0].logits(x), alone[1].logits(x))


def test_an_ensemble_of_separate_fits_is_called_independent() -> None:
    data = three_classes()
    predictive = bb.fit(DeepEnsemble(of=FAST, members=3), normalised_network(), data, seed=0)
    card = bb.posterior_card(predictive, data)
    assert card["level"] == "independent"
    assert "3 members" in card["why"]


def test_a_member_of_several_draws_keeps_them_all() -> None:
    """The draws lead with the members, so that `independent` streams cut between them."""
    data = three_classes()
    posterior = MultiSwag(of=Recorded(), members=4)
    draws = posterior.fit(normalised_network(), data, seed=1)
    assert posterior.draws == 8
    assert (draws.chains, draws.per_chain) == (4, 2)
    assert "independent" not in draws.diagnostics


@pytest.mark.parametrize("members", [1, 3])
def test_the_number_of_draws_follows_from_the_members(members: int) -> None:
    assert DeepEnsemble(of=FAST, members=members).draws == members
    assert DeepEnsemble(of=FAST, members=members, draws=members).draws == members
    with pytest.raises(ValueError, match=rf"draws \(50\) must be members \({members}\): leave draws out"):
        DeepEnsemble(of=FAST, members=members, draws=50)


def test_a_bootstrap_sample_is_drawn_with_replacement() -> None:
    """Each point is drawn Binomial(n, 1 / n) times: none of them e^-1 of the time, to six standard errors."""
    x = np.arange(2000, dtype="f4")[:, None] / 2000
    y = np.arange(2000) % 3
    data = bb.Data(train=(x, y), test=(x[:5], y[:5]))
    draws = BootstrapEnsemble(of=Recorded(), members=3).fit(nn.Linear(1, 3), data, seed=2)
    samples = draws.arrays["x"][:, 0, :, 0]
    for sample, labels in zip(samples, draws.arrays["y"][:, 0], strict=True):
        points = np.rint(sample * 2000).astype(int)
        assert np.array_equal(points % 3, labels), "inputs and labels stay together"
        counts = np.bincount(points, minlength=2000)
        assert abs((counts == 0).mean() - np.exp(-1)) < 6 * np.sqrt(np.exp(-1) * (1 - 2 * np.exp(-1)) / 2000)
        assert abs(counts.var() - 1) < 6 * np.sqrt(3 / 2000)
    assert not np.array_equal(samples[0], samples[1])


def test_anchored_weights_that_the_data_do_not_touch_have_the_prior() -> None:
    """Each of 4 x 100 weights of inputs that are always zero: N(0, 0.5^2), to five standard errors of the variance."""
    x = np.zeros((30, 101), "f4")
    x[:, 0] = np.linspace(-1, 1, 30)
    data = bb.Data(train=(x, (x[:, 0] > 0).astype(int)), test=(x, (x[:, 0] > 0).astype(int)), bounds=(-1, 1))
    posterior = AnchoredEnsemble(members=2, epochs=400, batch_size=30, learning_rate=0.1, prior_scale=0.5)
    draws = posterior.fit(nn.Linear(101, 2), data, seed=3)
    unused = draws.arrays["weight"][..., 1:].ravel()
    assert unused.size == 400
    assert abs(unused.mean()) < 5 * 0.5 / np.sqrt(400)
    assert abs(unused.var() / 0.25 - 1) < 5 * np.sqrt(2 / 400)


def test_a_training_that_does_not_reach_its_optimum_is_called_short() -> None:
    """Of weights that the data do not touch, the shift is the distance from the anchor in standard deviations."""
    x, y = np.zeros((30, 50), "f4"), np.arange(30) % 2
    data, network = bb.Data(train=(x, y), test=(x, y), bounds=(-1, 1)), nn.Linear(50, 2, bias=False)
    short = bb.fit(AnchoredEnsemble(members=2, epochs=1, learning_rate=1e-12, prior_scale=0.5), network, data, seed=3)
    for member, shift in enumerate(short.diagnostics["shift"]):
        fit_seed, anchor_seed = member_seeds(3, member)
        anchor = 0.5 * torch.randn(2, 50, generator=torch.Generator().manual_seed(anchor_seed))
        distance = bb.initialise(network, fit_seed).weight - anchor
        assert shift == pytest.approx(distance.square().mean().sqrt().item() / 0.5, rel=1e-4)
    assert bb.posterior_card(short, data)["level"] == "short"
    assert bb.posterior_card(bb.fit(AnchoredEnsemble(members=2), network, data, seed=3), data)["level"] == "independent"


def test_an_anchored_member_is_the_optimum_of_its_objective() -> None:
    """Logistic regression: the optimum by a second-order method in float64, for the anchor of each member."""
    data = three_classes()
    posterior = AnchoredEnsemble(members=2, epochs=800, batch_size=60, learning_rate=0.1, prior_scale=0.7)
    draws = posterior.fit(nn.Linear(2, 3), data, seed=6)
    x, y = data.train[0].double(), data.train[1]
    for member in range(2):
        random = torch.Generator().manual_seed(member_seeds(6, member)[1])
        anchors = [0.7 * torch.randn(shape, generator=random).double() for shape in ((3, 2), (3,))]
        weights = [anchor.clone().requires_grad_() for anchor in anchors]
        solver = torch.optim.LBFGS(weights, max_iter=500, tolerance_change=1e-14)
        solver.step(lambda weights=weights, anchors=anchors, solver=solver: _objective(weights, anchors, x, y, solver))
        assert np.allclose(draws.arrays["weight"][member, 0], weights[0].detach(), atol=2e-3)
        assert np.allclose(draws.arrays["bias"][member, 0], weights[1].detach(), atol=2e-3)


def _objective(weights: list[Any], anchors: list[Any], x: torch.Tensor, y: torch.Tensor, solver: Any) -> torch.Tensor:
    solver.zero_grad()
    pull = sum((weight - anchor).square().sum() for weight, anchor in zip(weights, anchors, strict=True))
    value = cross_entropy(x @ weights[0].T + weights[1], y, reduction="sum") + pull / (2 * 0.7**2)
    value.backward()
    return value


@pytest.mark.parametrize(
    "posterior",
    [
        DeepEnsemble(of=FAST, members=2),
        BootstrapEnsemble(of=FAST, members=2),
        AnchoredEnsemble(members=2, epochs=2, batch_size=8),
    ],
    ids=["deep", "bootstrap", "anchored"],
)
def test_the_seed_decides(posterior: bb.Posterior) -> None:
    data, network = three_classes(), normalised_network()
    first, again, other = (posterior.fit(network, data, seed=seed) for seed in (0, 0, 1))
    for name, array in first.arrays.items():
        assert np.array_equal(array, again.arrays[name])
    assert not np.array_equal(first.arrays["0.weight"], other.arrays["0.weight"])
