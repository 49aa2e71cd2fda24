"""Blocks of draws have the results of single draws in float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, random_ensemble, random_inputs
from odd_networks import Branching, Normalised, Recurrent
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import bnnbench as bb
from bnnbench.core.ensemble import batching
from bnnbench.core.ensemble import chunks as cut


def one_by_one(predictive: bb.Predictive) -> bb.Predictive:
    """The same ensemble as one that says its own logits, which is never stacked."""

    class Own(bb.Predictive):
        def logits(self, x: Tensor, draws: slice | list[int] = slice(None)) -> Tensor:  # type: ignore[override]
            return bb.Predictive.logits(self, x, draws)

    return Own(predictive.network, {name: tensor.numpy() for name, tensor in predictive.draws.items()})


@pytest.mark.parametrize("name", OBJECTIVES)
@settings(max_examples=20)
@given(
    draws=st.integers(2, 9),
    hidden=st.integers(1, 12),
    classes=st.integers(2, 6),
    images=st.integers(1, 20),
    scale=st.sampled_from([0.1, 1.0, 10.0, 100.0]),
    together=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_stacked_and_single_draws_agree(
    name: str, draws: int, hidden: int, classes: int, images: int, scale: float, together: int, seed: int
) -> None:
    """Logits of up to thousands of nats included, and any number of draws at once."""
    predictive = random_ensemble(draws=draws, hidden=hidden, classes=classes, scale=scale, seed=seed)
    alone = one_by_one(predictive)
    x, y = random_inputs(images=images, classes=classes, seed=seed)
    assert batching.footprint(predictive, x).stackable
    assert not batching.footprint(alone, x).stackable
    with pytest.MonkeyPatch.context() as patch:
        for budget in ("STACKED", "ONE_BY_ONE"):
            patch.setattr(batching, budget, batching.footprint(predictive, x).activations * images * together)
        assert len(batching.blocks(predictive, x, range(draws))) == -(-draws // together)
        for one, other in (
            (predictive.log_probs(x), alone.log_probs(x)),
            (predictive.draw_log_probs(x), alone.draw_log_probs(x)),
            (predictive.gradient(x, y, name), alone.gradient(x, y, name)),
            (predictive.direction(x, y, name), alone.direction(x, y, name)),
        ):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("small", [0, batching.CPU_SMALL])
def test_any_choice_of_draws_can_be_looked_at_together(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "CPU_SMALL", small)
    predictive = random_ensemble(draws=9)
    x, _ = random_inputs()
    for chosen in ([4], [0, 3, 8], [5, 2], [2, 3, 4]):
        expected = predictive.logits(x, chosen)
        assert torch.allclose(batching.logits(predictive, x, chosen), expected, atol=1e-12)


@pytest.mark.parametrize("network", [Branching, Recurrent, Normalised])
@pytest.mark.parametrize("name", ["predictive-nll", "log-margin"])
def test_any_module_gives_the_plain_gradient(network: type[nn.Module], name: str) -> None:
    torch.manual_seed(0)
    module = network().double().eval()
    generator = np.random.default_rng(0)
    draws = {key: generator.normal(size=(4, *weight.shape)) for key, weight in module.named_parameters()}
    predictive = bb.Predictive(module, draws)
    x, y = random_inputs()
    leaf = x.clone().requires_grad_()
    each = torch.stack([predictive.logits(leaf, [draw])[0].log_softmax(-1) for draw in range(4)])
    (expected,) = torch.autograd.grad(bb.objective(name).value(each, y).sum(), leaf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(predictive.gradient(x, y, name), expected, rtol=1e-8, atol=1e-12)
    cosine = torch.cosine_similarity(predictive.direction(x, y, name), expected, dim=1, eps=1e-300)
    assert torch.allclose(cosine, torch.ones_like(cosine), atol=1e-6)
    assert batching.footprint(predictive, x).stackable == (network is Normalised)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("images", [1, 7])
def test_convolutions_give_the_plain_gradient_however_their_weights_lie(channels: int, images: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, (3, 2), bias=False), nn.Flatten(), nn.Linear(32, 3)
    ).double()
    draws = {key: torch.randn(5, *weight.shape, dtype=torch.float64) for key, weight in module.named_parameters()}
    x, y = torch.rand(images, channels, 8, 7, dtype=torch.float64), torch.arange(images) % 3
    leaf = x.clone().requires_grad_()
    weights = [{key: tensor[draw] for key, tensor in draws.items()} for draw in range(5)]
    each = torch.stack([torch.func.functional_call(module, own, (leaf,)).log_softmax(-1) for own in weights])
    (expected,) = torch.autograd.grad(bb.objective("predictive-nll").value(each, y).sum(), leaf)
    predictive = bb.Predictive(module, draws)
    assert all(torch.equal(predictive.draws[key], tensor) for key, tensor in draws.items())
    assert torch.allclose(predictive.draw_log_probs(x), each, rtol=1e-10, atol=1e-12)
    assert torch.allclose(predictive.gradient(x, y, "predictive-nll"), expected, rtol=1e-8, atol=1e-12)


def test_a_footprint_does_not_depend_on_what_was_asked_before() -> None:
    """Found once with members there already, once without: it must see the layers that run, and leave no hook."""
    x, _ = random_inputs()
    found = []
    for before in (False, True):
        predictive = random_ensemble(hidden=7)
        if before:
            predictive.logits(x)
        found.append(batching.footprint(predictive, x))
        assert not any(module._forward_hooks for module in predictive.member(0).modules())
    assert found[0] == found[1]
    assert found[0].activations >= 3 * 8 * 2 * 7


def test_what_the_draws_say_counts_towards_the_budget() -> None:
    """More draws make smaller chunks of images, so that memory does not grow with the ensemble."""
    x = torch.rand(4000, 5, dtype=torch.float64)
    chunks = {
        draws: max(len(chunk.x) for chunk in cut.chunks(predictive, x, range(draws)))
        for draws in (2, 2000)
        for predictive in [random_ensemble(draws=draws)]
    }
    assert chunks[2000] * 2000 * 3 * 8 * 6 <= cut.BUDGET
    assert chunks[2] == len(x)


class Functions(nn.Module):
    """Convolutions by functions and parameters, without layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(8, 1, 3, 3)), nn.Parameter(torch.randn(3, 8 * 36))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(nn.functional.relu(nn.functional.conv2d(x, self.first)).flatten(1), self.second)


def test_a_network_of_functions_has_the_footprint_of_one_of_layers() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3, bias=False))
    x = torch.rand(2, 1, 8, 8)
    found = []
    for network in (layers, Functions()):
        draws = {name: torch.stack([weight] * 2) for name, weight in network.state_dict().items()}
        found.append(batching.footprint(bb.Predictive(network, draws), x).activations)
    assert found[0] / 4 <= found[1] <= found[0]
    assert found[1] >= 3 * 4 * 8 * 36  # The output of the convolution, which no layer has.


class Viewed(nn.Module):
    """Flattens its feature maps with `view`, which needs them contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(2, 4, 3), nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.convolution(x).view(-1, 144))


class Reshaped(Viewed):
    """The same network, which takes any layout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.convolution(x).flatten(1))


@pytest.mark.parametrize(("kind", "fast"), [(Viewed, False), (Reshaped, True)])
def test_convolutions_have_the_fast_layout_where_the_network_takes_it(kind: type[nn.Module], fast: bool) -> None:
    x, y = torch.rand(12, 2, 8, 8), torch.arange(12) % 3
    data = bb.Data(train=(x, y), test=(x, y))
    predictive = bb.fit(bb.posterior("sgd", epochs=1), kind(), data, device="cpu")
    weight = predictive.draws["convolution.weight"]
    assert (not weight[0].is_contiguous()) == fast
    expected = predictive.network.convolution  # type: ignore[union-attr]
    assert weight.shape[1:] == expected.weight.shape  # type: ignore[union-attr]
    assert torch.isfinite(predictive.gradient(x, y, "log-margin")).all()


def test_inputs_that_are_not_contiguous_are_taken() -> None:
    x, y = torch.rand(12, 8, 8, 2).permute(0, 3, 1, 2), torch.arange(12) % 3
    data = bb.Data(train=(x, y), test=(x, y))
    predictive = bb.fit(bb.posterior("sgd", epochs=1), Viewed(), data, device="cpu")
    assert torch.equal(predictive.log_probs(x), predictive.log_probs(x.contiguous()))


class Strided(nn.Module):
    """Reads the output of a convolution by its place in memory, without a look at the layout."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(1, 3, 3), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.as_strided(self.convolution(x), (x.shape[0], 12), (12, 1)))


class Table(nn.Module):
    """Computes a value from its weights at the first call, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.kept: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if "total" not in self.kept:
            self.kept["total"] = self.linear.weight.sum()
        return self.linear(x) + self.kept["total"] * torch.arange(2)


class Recomputed(nn.Module):
    """Computes a layer again in the backward pass, which a stacked call cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.linear = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.tanh(checkpoint(self.hidden, x, use_reentrant=False)))


@pytest.mark.parametrize(("kind", "shape"), [(Strided, (1, 4, 4)), (Table, (4,)), (Recomputed, (4,))])
def test_what_layout_stacking_or_memory_would_change_has_the_logits_of_each_draw(
    kind: type[nn.Module], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network, each, x = kind(), [kind() for _ in range(3)], torch.rand(5, *shape)
    network.bnnbench_shape = shape  # type: ignore[assignment]
    arrays = {
        name: np.stack([one.state_dict()[name].numpy() for one in each]) for name, _ in network.named_parameters()
    }
    predictive = bb.Predictive(network, arrays)
    expected = torch.stack([one(x).log_softmax(-1) for one in each]).detach()
    assert torch.allclose(predictive.draw_log_probs(x), expected, atol=1e-5)
    own = x.clone().requires_grad_()
    probabilities = torch.stack([kind.forward(one, own).softmax(-1) for one in each]).mean(0)
    (slope,) = torch.autograd.grad(probabilities[:, 0].log().sum(), own)
    found = predictive.gradient(x, torch.zeros(5, dtype=torch.long), "predictive-nll")
    assert torch.allclose(found, -slope, atol=1e-5)


class Steps(nn.Module):
    """A recurrent layer with many steps, of which only the last is an output of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.linear = nn.LSTM(1, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.recurrent(x[..., None])[0][:, -1])


def test_the_footprint_of_a_recurrent_layer_counts_what_its_steps_make() -> None:
    """Each step holds four gates, and the state before and after its nonlinearity."""
    network, steps = Steps(), 200
    draws = {name: value.detach().numpy()[None] for name, value in network.named_parameters()}
    found = batching.footprint(bb.Predictive(network, draws), torch.zeros(1, steps)).activations
    assert found > steps * 32 * 6 * 4
