"""MC dropout against sums over all masks, closed forms, and networks that are masked by hand."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.inserted_dropout import InsertedDropout
from bnnbench_plugins.torch.mc_dropout import McDropout
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, dropout, linear

import bnnbench as bb

RATE = 0.3


def data(shape: tuple[int, ...] = (3,), size: int = 24, classes: int = 3) -> bb.Data:
    rng = np.random.default_rng(5)
    x, y = rng.random((size, *shape)).astype("f4"), rng.integers(classes, size=size)
    return bb.Data(train=(x, y), test=(x[:8], y[:8]), classes=classes)


def drawn(network: nn.Module, x: Tensor, count: int, drop_inputs: bool = False) -> dict[str, Tensor]:
    inserted = InsertedDropout(network, x, RATE, drop_inputs)
    arrays = inserted.draw(count, torch.Generator().manual_seed(1))
    inserted.remove()
    return arrays


# The ensemble of many draws


def test_the_ensemble_approaches_the_mean_over_all_masks() -> None:
    """Five units have 32 masks, each with its probability: the exact predictive is a sum over them."""
    network = bb.initialise(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)), seed=3)
    with torch.no_grad():
        network[2].weight *= 4
    x = torch.tensor([[0.5, -1.0], [2.0, 0.3]])
    with torch.no_grad():
        hidden = network[:2](x)
        masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
        chances = (1 - RATE) ** masks.sum(1) * RATE ** (5 - masks.sum(1))
        each = torch.stack([network[2](hidden * mask / (1 - RATE)).softmax(-1) for mask in masks])
    exact = (chances[:, None, None] * each).sum(0)
    error = ((chances[:, None, None] * (each - exact) ** 2).sum(0) / 40_000).sqrt()
    ensemble = bb.Predictive(network, drawn(network, x, 40_000)).log_probs(x).exp()
    # Six figures at five standard errors: a false alarm in 3 * 10^5 seeds.
    assert ((ensemble - exact).abs() < 5 * error).all()
    assert chances.sum() == pytest.approx(1)


@pytest.mark.slow
def test_a_linear_network_has_the_variance_of_the_closed_form() -> None:
    """The variance of output k is p / (1 - p) * sum_i W_ki^2 h_i^2; draws and training have the same noise."""
    network = bb.initialise(nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2)), seed=3)
    point = torch.tensor([0.5, -1.0])
    with torch.no_grad():
        hidden, mean = network[0](point), network(point)
    variance = RATE / (1 - RATE) * (network[1].weight.detach() ** 2 @ hidden**2)
    outputs = bb.Predictive(network, drawn(network, point[None], 40_000)).logits(point[None])[:, 0]
    inserted = InsertedDropout(network, point[None], RATE, False)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        trained = network.train()(point.expand(40_000, 2))
    inserted.remove()
    for found in (outputs, trained):
        fourth = ((found - mean) ** 4).mean(0)
        assert ((found.mean(0) - mean).abs() < 5 * (variance / 40_000).sqrt()).all()
        assert ((found.var(0) - variance).abs() < 5 * ((fourth - variance**2) / 40_000).sqrt()).all()


# Inserted dropout


@pytest.mark.parametrize("groups", [1, 2])
def test_a_draw_is_the_network_with_channels_and_features_masked(groups: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 2, groups=1), nn.ReLU(), nn.Conv2d(4, 6, 2, groups=groups), nn.Flatten(), nn.Linear(24, 2)
    )
    x = torch.rand(3, 1, 4, 4)
    arrays = drawn(network, x, 6)
    first, _, second, _, last = network
    ratio = arrays["2.weight"] / second.weight
    # Channel c of group g is the input number c of each output of the group.
    channels = ratio.reshape(6, groups, 6 // groups, 4 // groups, 2, 2)[:, :, 0, :, 0, 0].reshape(6, 4)
    features = (arrays["4.weight"] / last.weight)[:, 0]
    scaled = torch.tensor([0, 1 / (1 - RATE)])
    for masks in (channels, features):
        assert torch.isclose(masks[..., None], scaled).any(-1).all()
        assert 0 < (masks == 0).float().mean() < 1
    with torch.no_grad():
        outputs = bb.Predictive(network, arrays).logits(x)
        for draw in range(6):
            masked = first(x).relu() * channels[draw, None, :, None, None]
            hidden = conv2d(masked, second.weight, second.bias, groups=groups).flatten(1) * features[draw]
            torch.testing.assert_close(outputs[draw], linear(hidden, last.weight, last.bias))
    assert torch.equal(arrays["0.weight"], first.weight.expand(6, *first.weight.shape))


def test_inputs_of_the_first_layer_are_dropped_where_that_is_asked() -> None:
    network, x = nn.Linear(50, 2), torch.rand(3, 50)
    share = (drawn(network, x, 400, drop_inputs=True)["weight"][:, 0] == 0).float().mean()
    assert abs(share - RATE) < 5 * (RATE * (1 - RATE) / 20_000) ** 0.5
    with pytest.raises(bb.Incompatible, match="drop_inputs"):
        McDropout().check(network, data((50,), classes=2))
    McDropout(drop_inputs=True).check(network, data((50,), classes=2))


def test_sequences_have_one_mask_for_all_their_items() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 200), nn.Flatten())
    x = torch.rand(2, 3).expand(5, 2, 3)
    inserted = InsertedDropout(network, x, RATE, False)
    items = network.train()(torch.ones(5, 2, 3)).reshape(5, 2, 200)
    torch.testing.assert_close(items[:, 0], items[:, 1])
    assert not torch.allclose(items[0], items[1])
    inserted.remove()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("drop_inputs", [False, True])
def test_the_loss_holds_the_divergence_from_the_prior(drop_inputs: bool) -> None:
    """At inputs of zero and without biases all classes are equally likely, so that only the penalty is left."""
    sample = bb.Data(train=(np.zeros((10, 3)), np.arange(10) % 3), test=(np.zeros((1, 3)), np.zeros(1, int)), classes=3)
    network = nn.Sequential(nn.Linear(3, 5, bias=False), nn.Linear(5, 3, bias=False))
    posterior = McDropout(rate=RATE, prior_scale=0.7, epochs=1, learning_rate=1e-12, drop_inputs=drop_inputs)
    begin = bb.initialise(network, 2)
    first, second = (layer.weight.detach().square().sum().item() for layer in begin)
    penalty = (first / (1 - RATE if drop_inputs else 1) + second / (1 - RATE)) / (2 * 10 * 0.7**2)
    found = posterior.fit(network, sample, seed=2).diagnostics["loss"]
    assert found == pytest.approx(math.log(3) + penalty, rel=1e-5)


def penalised_optimum(x: Tensor, y: Tensor, rate: float) -> np.ndarray:
    """Differences of both classes' weights and biases (3,) at the least expected loss over all masks of two inputs."""
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=torch.float64)
    chances = (1 - rate) ** masks.sum(1) * rate ** (2 - masks.sum(1))
    weight, bias = (torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 2), (2,)))
    solver = torch.optim.LBFGS([weight, bias], max_iter=300, tolerance_change=1e-12)

    def expected_loss() -> Tensor:
        solver.zero_grad()
        losses = torch.stack([cross_entropy((x * mask / (1 - rate)) @ weight.T + bias, y) for mask in masks])
        penalty = (weight.square().sum() / (1 - rate) + bias.square().sum()) / (2 * len(x))
        value = (chances * losses).sum() + penalty
        value.backward()
        return value

    solver.step(expected_loss)
    return np.diff(np.c_[weight.detach().numpy(), bias.detach().numpy()], axis=0)[0]


@pytest.mark.integration
def test_it_reaches_the_optimum_of_the_expected_loss() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (60, 2)).astype("f4")
    y = (x @ [2.0, -1.0] + 0.5 * rng.standard_normal(60) > 0).astype(int)
    sample = bb.Data(train=(x, y), test=(x, y), bounds=(-1, 1), classes=2)
    posterior = McDropout(rate=RATE, epochs=1000, batch_size=60, learning_rate=0.02, drop_inputs=True, draws=60)
    arrays = posterior.fit(nn.Linear(2, 2), sample, seed=0).arrays
    # In each draw a column of weights is zero, or the trained one / (1 - p).
    weight = np.diff(arrays["weight"][0], axis=1)[:, 0]
    found = [*(weight[np.abs(weight).argmax(0), [0, 1]] * (1 - RATE)), np.diff(arrays["bias"][0, 0])[0]]
    exact = penalised_optimum(sample.train[0].double(), sample.train[1], RATE)
    np.testing.assert_allclose(found, exact, atol=0.1)
    plain = penalised_optimum(sample.train[0].double(), sample.train[1], 0.0)
    assert np.abs(exact - plain).max() > 0.3


# Dropout layers of the network's own


def own_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 2), nn.Dropout2d(0.4), nn.Tanh(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(54, 3)
    ).eval()


def test_the_networks_own_layers_have_masks_with_their_own_probability(tmp_path: Path) -> None:
    network, sample = own_network(), data((1, 4, 4))
    posterior = McDropout(epochs=2, draws=300)
    fitted = bb.fit(posterior, network, sample, seed=0, device="cpu")
    channels, features = fitted.draws["1.mask"], fitted.draws["4.mask"]
    assert channels.shape == (300, 6, 1, 1)
    assert features.shape == (300, 54)
    for mask, rate in ((channels, 0.4), (features, 0.2)):
        assert set(mask.unique().tolist()) == {0.0, torch.tensor(1 / (1 - rate)).item()}
        assert abs((mask == 0).float().mean() - rate) < 5 * (rate * (1 - rate) / mask.numel()) ** 0.5
    x = sample.test[0]
    weights = {name: array[7] for name, array in fitted.draws.items()}
    hidden = (conv2d(x, weights["0.weight"], weights["0.bias"]) * channels[7]).tanh().flatten(1) * features[7]
    torch.testing.assert_close(fitted.logits(x, [7])[0], linear(hidden, weights["5.weight"], weights["5.bias"]))
    assert all(torch.equal(fitted.draws[name][0], fitted.draws[name][1]) for name in ("0.weight", "5.weight"))
    fitted.save(tmp_path / "fit.safetensors")
    torch.testing.assert_close(bb.load(tmp_path / "fit.safetensors", network).logits(x, [7]), fitted.logits(x, [7]))
    assert 0 <= bb.evaluate(fitted, bb.attack("pgd", steps=2), sample, epsilon=0.1).robust_accuracy <= 1


def test_statistics_of_batch_norm_are_recalibrated_under_the_masks() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()
    sample = data()
    arrays = McDropout(epochs=2, draws=4, batch_norm="recalibrated").fit(network, sample, seed=0).flat()
    for index in range(4):
        entering = sample.train[0].numpy() @ arrays["0.weight"][index].T + arrays["0.bias"][index]
        expected = (entering * arrays["1.mask"][index]).mean(0)
        np.testing.assert_allclose(arrays["2.running_mean"][index], expected, atol=1e-5)


class Functional(nn.Module):
    """A network that drops values by a function, whose masks nobody can fix."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(dropout(self.first(x), 0.5, training=self.training))


def shared_dropout() -> nn.Module:
    layer = nn.Dropout(0.5)
    return nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 4), layer, nn.Linear(4, 3))


def shared_layer() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(nn.Linear(3, 4), layer, layer, nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Functional(), "functional.dropout"),
        (shared_dropout(), "layer '1' .* is called 2 times"),
        (shared_layer(), "layer '1' is called more than once"),
        (nn.Sequential(nn.Linear(3, 4), nn.AlphaDropout(0.5), nn.Linear(4, 3)), "AlphaDropout"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), "no linear or convolutional layer behind the first"),
    ],
)
def test_a_network_whose_values_have_no_fixed_masks_is_incompatible(network: nn.Module, reason: str) -> None:
    for attempt in (McDropout().check, lambda network, data: McDropout(epochs=1).fit(network, data, seed=0)):
        with pytest.raises(bb.Incompatible, match=reason):
            attempt(network.eval(), data())
