"""Predictions, gradients and directions of an ensemble against autograd over all draws."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, random_ensemble, random_inputs
from odd_networks import Branching, Normalised, Recurrent
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.core.ensemble import chunks


def each_log_probs(predictive: bb.Predictive, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([predictive.logits(x, [draw])[0].log_softmax(-1) for draw in range(len(predictive))])


def plain_gradient(predictive: bb.Predictive, x: torch.Tensor, y: torch.Tensor, name: str) -> torch.Tensor:
    x = x.clone().requires_grad_()
    value = bb.objective(name).value(each_log_probs(predictive, x), y)
    return torch.autograd.grad(value.sum(), x)[0]


def test_the_prediction_is_the_mean_of_the_draws_softmax() -> None:
    predictive = random_ensemble()
    x, _ = random_inputs()
    mean = predictive.logits(x).softmax(-1).mean(0)
    assert torch.allclose(predictive.log_probs(x).exp(), mean, atol=1e-12)
    assert torch.allclose(predictive.as_module()(x).exp().sum(-1), torch.ones(len(x), dtype=x.dtype))


@pytest.mark.parametrize("name", OBJECTIVES)
@settings(max_examples=15)
@given(
    draws=st.integers(1, 9),
    classes=st.integers(2, 5),
    scale=st.sampled_from([0.1, 1.0, 4.0]),
    seed=st.integers(0, 1000),
)
def test_gradient_and_direction_agree_with_autograd(
    name: str, draws: int, classes: int, scale: float, seed: int
) -> None:
    predictive = random_ensemble(draws=draws, classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    expected = plain_gradient(predictive, x, y, name)
    assert torch.allclose(predictive.gradient(x, y, name), expected, rtol=1e-8, atol=1e-12)
    direction = predictive.direction(x, y, name)
    # torch's default eps would hide the angle between short gradients.
    cosine = torch.cosine_similarity(direction, expected, dim=1, eps=1e-300)
    # The gradient may be lost to rounding where the direction is not.
    told = expected.norm(dim=1) > 1e-9
    assert torch.allclose(cosine[told], torch.ones_like(cosine[told]), atol=1e-6)


def test_the_expected_loss_gradient_is_the_mean_of_the_draws_gradients() -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    each = [predictive.gradient(x, y, "expected-loss", draws=[draw]) for draw in range(len(predictive))]
    assert torch.allclose(predictive.gradient(x, y, "expected-loss"), torch.stack(each).mean(0), atol=1e-13)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_chunks_of_images_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictive = random_ensemble()
    x, y = random_inputs(images=23)
    whole = [predictive.gradient(x, y, name), predictive.direction(x, y, name), predictive.log_probs(x)]
    monkeypatch.setattr(chunks, "BUDGET", 4000)
    assert len(list(chunks.chunks(predictive, x, range(len(predictive))))) > 3
    parts = [predictive.gradient(x, y, name), predictive.direction(x, y, name), predictive.log_probs(x)]
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


def test_wrong_draws_are_named() -> None:
    network = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="no draws of the network's weights bias"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2))})
    with pytest.raises(ValueError, match="extra"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2)), "bias": np.zeros((3, 2)), "extra": np.zeros((3, 1))})
    with pytest.raises(ValueError, match=r"weight have shape \(2, 3\)"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 3)), "bias": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="same"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2)), "bias": np.zeros((4, 2))})


def test_draws_of_an_ensemble_leave_the_network_alone() -> None:
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    predictive = bb.Predictive(network, {"weight": np.ones((3, 2, 2), "f4"), "bias": np.zeros((3, 2), "f4")})
    predictive.direction(torch.rand(4, 2), torch.zeros(4, dtype=torch.long), "predictive-nll")
    assert torch.equal(network.weight, before)
    assert network.weight.requires_grad
    assert network.weight.grad is None


@pytest.mark.parametrize("network", [Branching, Recurrent, Normalised])
def test_a_member_is_the_network_with_its_draws_weights_and_copies_no_tensor(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module = network().double().eval()
    module.register_buffer("unused", torch.rand(2, 3))
    module.table = torch.rand(4)
    weights = {**dict(module.named_parameters()), "unused": module.unused}
    draws = {name: torch.rand(3, *weight.shape, dtype=torch.float64).numpy() for name, weight in weights.items()}
    predictive = bb.Predictive(module, draws)
    x, _ = random_inputs()
    for index in (0, 2):
        own = {name: tensor[index] for name, tensor in predictive.draws.items()}
        expected = torch.func.functional_call(module, own, (x,))
        member = predictive.member(index)
        assert torch.equal(member(x), expected)
        assert torch.equal(predictive.logits(x, [index])[0], expected)
        for name, tensor in (*member.named_parameters(), *member.named_buffers()):
            if name in draws:
                assert tensor.data_ptr() == own[name].data_ptr()
        assert member.table.data_ptr() == predictive.network.table.data_ptr()


def test_threads_do_not_mix_the_draws() -> None:
    predictive = random_ensemble(draws=20, inputs=60, hidden=60)
    x, _ = random_inputs(images=200, inputs=60)
    expected = [predictive.logits(x, [draw]) for draw in range(20)]
    wrong: list[int] = []

    def look(draw: int) -> None:
        for _ in range(20):
            if not torch.equal(predictive.logits(x, [draw]), expected[draw]):
                wrong.append(draw)

    threads = [threading.Thread(target=look, args=(draw,)) for draw in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Tied(nn.Module):
    """One weight under two names, a buffer, and a parameter that is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.second.weight = self.first.weight
        self.normal, self.out = nn.BatchNorm1d(5), nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.normal(self.second(self.first(x).tanh()))) * self.scale  # type: ignore[no-any-return]


def test_draws_stacked_from_state_dicts_of_any_precision_make_an_ensemble() -> None:
    members = [Tied().eval() for _ in range(3)]
    states = [member.state_dict() for member in members]
    stacked = {name: np.stack([state[name].double().numpy() for state in states]) for name in states[0]}
    stacked["normal.num_batches_tracked"] = np.zeros(3, np.int64)
    predictive = bb.Predictive(Tied(), stacked)
    x = torch.rand(7, 5, generator=torch.Generator().manual_seed(0))
    for index, member in enumerate(members):
        assert torch.allclose(predictive.logits(x, [index])[0].float(), member(x), atol=1e-5)
    y = np.zeros(7, int)
    data = bb.Data(train=(x, torch.as_tensor(y)), test=(x, torch.as_tensor(y)), classes=3)
    assert bb.posterior_card(predictive, data)["level"] == "short"
    stacked["second.weight"] = stacked["second.weight"] + 1
    with pytest.raises(ValueError, match=r"first\.weight and second\.weight are one weight"):
        bb.Predictive(Tied(), stacked)


def test_an_ensemble_keeps_its_own_draws() -> None:
    network = nn.Linear(2, 2)
    weights = {"weight": torch.ones(3, 2, 2), "bias": torch.zeros(3, 2)}
    predictive = bb.Predictive(network, weights)
    x = torch.rand(4, 2)
    before = predictive.log_probs(x)
    weights["weight"].normal_()
    assert torch.equal(predictive.log_probs(x), before)
    with pytest.raises(TypeError, match=r"not a list of 1; bnnbench\.predictive\(state_dicts, network=network\)"):
        bb.Predictive(network, [network.state_dict()])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"these have no axis of draws; bnnbench.predictive"):
        bb.Predictive(network, network.state_dict())
    with pytest.raises(TypeError, match=r"network is a torch.nn.Module, not 'net'"):
        bb.Predictive("net", weights)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("draws", "error", "told"),
    [
        (0, TypeError, "draws are a slice or a list of positions, not 0"),
        ("01", TypeError, "draws are a slice or a list of positions, not '01'"),
        ([0.5], TypeError, "each of draws is a position, not 0.5"),
        ([True, False, True], TypeError, "each of draws is a position, not True"),
        (np.array([True, False, True]), TypeError, "each of draws is a position, not True"),
        ([0, 3], IndexError, "there is no draw 3 among 3"),
        ([], IndexError, "no draw of 3 is selected"),
        (slice(2, 2), IndexError, "no draw of 3 is selected"),
    ],
)
def test_what_selects_no_draws_is_told(draws: Any, error: type[Exception], told: str) -> None:
    predictive = random_ensemble(draws=3)
    with pytest.raises(error) as caught:
        predictive.log_probs(random_inputs()[0], draws)
    assert str(caught.value) == told


def test_positions_of_any_integer_type_select_draws() -> None:
    predictive = random_ensemble(draws=3)
    assert predictive.indices([0, -1]) == predictive.indices(np.array([0, 2])) == predictive.indices((0, -1)) == [0, 2]
    assert predictive.indices(torch.tensor([-3])) == [0]
    assert predictive.indices(slice(None, None, -1)) == [2, 1, 0]


def test_labels_and_inputs_of_a_gradient_are_checked() -> None:
    predictive, (x, y) = random_ensemble(classes=3), random_inputs(classes=3)
    with pytest.raises(ValueError, match=r"label 7 .* with 3 classes"):
        predictive.gradient(x, y * 0 + 7, "predictive-nll")
    with pytest.raises(ValueError, match=r"inputs of shape .* is meant"):
        predictive.direction(x[0], y[:1], "predictive-nll")
    with pytest.raises(TypeError, match="inputs are on the device 'meta'"):
        predictive.log_probs(x.to("meta"))
    sparse = x.to_sparse()
    assert torch.equal(predictive.log_probs(sparse), predictive.log_probs(x))
